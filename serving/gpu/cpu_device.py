"""What a vLLM built for CPUs must be told that one for GPUs finds out by itself."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from serving.errors import ConfigError
from serving.gpu.vllm_settings import VLLMSettings

AMX_WORKER = "serving.gpu.amx_worker.AMXWorker"
KV_SPACE_VARIABLE = "VLLM_CPU_KVCACHE_SPACE"
BIND_VARIABLE = "VLLM_CPU_OMP_THREADS_BIND"
# Unasked, vLLM would take 92 % of the machine's memory, of which other programs have some already.
KV_CACHE_BYTES = 2**30


def on_cpu(settings: VLLMSettings, environment: Mapping[str, str]) -> VLLMSettings:
    """The settings as a CPU needs them."""
    return with_amx(with_spare_adapter(with_kv_cache(settings, environment)))


def with_amx(settings: VLLMSettings) -> VLLMSettings:
    """The settings with workers that may use AMX, unless the operator extends them himself."""
    if "worker_extension_cls" in settings.engine_kwargs:
        return settings
    extended = {"worker_extension_cls": AMX_WORKER}
    return replace(settings, engine_kwargs={**settings.engine_kwargs, **extended})


def with_kv_cache(settings: VLLMSettings, environment: Mapping[str, str]) -> VLLMSettings:
    """The settings with a KV cache of modest size, unless somebody has chosen one."""
    chosen = settings.kv_cache_bytes or settings.gpu_memory_utilization
    if chosen is not None or KV_SPACE_VARIABLE in environment:
        return settings
    return replace(settings, kv_cache_bytes=KV_CACHE_BYTES)


def with_spare_adapter(settings: VLLMSettings) -> VLLMSettings:
    """The settings with room for one adapter more than there are.

    For requests to the model itself vLLM's kernels for CPUs apply the last adapter that there is
    room for, when others in the batch have one (vllm#48421). So that one must stay empty.
    """
    if not settings.lora_adapters:
        return settings
    room = {"max_loras": len(settings.lora_adapters) + 1}
    return replace(settings, engine_kwargs={**settings.engine_kwargs, **room})


def prepare_environment(settings: VLLMSettings) -> None:
    """Cores of its own for each rank, unless the operator chose them: vLLM by itself wants a NUMA
    node for each. And `kv_cache_bytes` is not overruled by the environment, as vLLM would have it.
    Raises ConfigError for what only GPUs can do.
    """
    check_quantization(settings)
    if settings.kv_cache_bytes is not None:
        os.environ.pop(KV_SPACE_VARIABLE, None)
    if settings.tensor_parallel_size > 1:
        cpus = sorted(os.sched_getaffinity(0))
        os.environ.setdefault(BIND_VARIABLE, binding(cpus, settings.tensor_parallel_size))


def check_quantization(settings: VLLMSettings) -> None:
    """Raise ConfigError for types of weights that vLLM 0.32 has no kernels for on a CPU."""
    for name in ("load_in_8bit", "load_in_4bit"):
        if getattr(settings, name):
            raise ConfigError(
                f"{name}: vLLM quantises weights on GPUs only; leave it out, or set target_device "
                "to run the model in 8 bits with the engines for CPUs",
                param=name,
            )


def binding(cpus: Sequence[int], num_ranks: int) -> str:
    """`cpus` divided evenly among ranks, in vLLM's words: `0,1|2,3`."""
    each = max(1, len(cpus) // num_ranks)
    shares = [cpus[rank * each : (rank + 1) * each] or cpus[-1:] for rank in range(num_ranks)]
    return "|".join(",".join(map(str, share)) for share in shares)

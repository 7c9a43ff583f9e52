"""What one replica's vLLM is told, in our words, and the same in vLLM's.

Pure: settings in, vLLM's arguments out. Every contradiction is one sentence that names the setting
and the fix; what only vLLM can judge (names and values in `engine_kwargs`) `vllm_adapter` asks it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from serving.engine import nearest
from serving.errors import ConfigError

# Our word for a type of number: vLLM's.
DATA_TYPES = {
    "auto": "auto",
    "bfloat16": "bfloat16",
    "float16": "float16",
    "half": "float16",
    "float32": "float32",
    "float": "float32",
}
# Weights are quantised while they are read. vLLM 0.32 has no bitsandbytes any more; these two are
# those of its own that NVIDIA, AMD and Intel GPUs share.
LOAD_IN_8BIT = "fp8"
LOAD_IN_4BIT = "mxfp4"
CACHE_8BIT = "fp8"
# Ranks for which vLLM makes room; an adapter of another rank takes the next larger room.
LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)

# Arguments of vLLM that have a word of ours: two words for one thing would contradict each other.
OUR_WORDS = {
    "model": "model_name",
    "tokenizer_revision": "model_name",
    "served_model_name": "served_model_name",
    "dtype": "data_type",
    "tensor_parallel_size": "gpu_count",
    "pipeline_parallel_size": "pipeline_parallel_size",
    "max_num_seqs": "batch_size",
    "max_model_len": "max_model_len",
    "gpu_memory_utilization": "gpu_memory_utilization",
    "kv_cache_memory_bytes": "kv_cache_bytes",
    "trust_remote_code": "trust_remote_code",
    "hf_token": "hf_token",
    "enable_lora": "lora_adapters",
    "lora_modules": "lora_adapters",
    "distributed_executor_backend": "gpu_count",
}
_LEAST: Mapping[str, float] = {
    "tensor_parallel_size": 1,
    "pipeline_parallel_size": 1,
    "max_num_seqs": 1,
    "max_model_len": 1,
    "max_input_len": 1,
    "kv_cache_bytes": 1,
    "alpha_value": 1,
    "compress_pos_emb": 1,
    "cpu_offload_gb": 0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VLLMSettings:
    """Sizes, types and limits of one replica; None leaves the choice to vLLM."""

    tensor_parallel_size: int = 1  # gpu_count
    pipeline_parallel_size: int = 1
    data_type: str = "auto"
    max_num_seqs: int = 256  # batch_size
    max_model_len: int | None = None  # tokens of a prompt and its answer
    max_input_len: int | None = None  # tokens of a prompt
    gpu_memory_utilization: float | None = None  # this replica's share of each GPU's memory
    kv_cache_bytes: int | None = None  # per GPU, instead of what that share leaves
    load_in_8bit: bool = False
    load_in_4bit: bool = False
    cache_8bit: bool = False
    cpu_offload_gb: float = 0.0  # GiB of weights per GPU kept in the host's memory
    alpha_value: float = 1.0  # NTK scaling of the rotary embedding's base
    compress_pos_emb: float = 1.0  # linear scaling of positions
    lora_adapters: Mapping[str, str] = field(default_factory=dict)  # model name: folder
    trust_remote_code: bool = False
    engine_kwargs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises ConfigError for the first setting that cannot work."""
        _check_ranges(self)
        _check_quantization(self)
        _check_lengths(self)
        _check_lora(self)
        _check_engine_kwargs(self)

    @property
    def num_gpus(self) -> int:
        """GPUs of one replica."""
        return self.tensor_parallel_size * self.pipeline_parallel_size

    @property
    def scales_rope(self) -> bool:
        """Whether the rotary embedding is scaled, for which the model's config must be read."""
        return self.alpha_value != 1 or self.compress_pos_emb != 1


def vllm_arguments(
    settings: VLLMSettings,
    model: Path | str,
    served_model_names: tuple[str, ...],
    *,
    model_config: Mapping[str, Any] | None = None,
    max_lora_rank: int | None = None,
    executor: Literal["mp", "ray"] | None = None,
) -> dict[str, Any]:
    """The settings as vLLM's arguments; those that vLLM is to choose are left out.

    `model_config` (the model's config.json) is needed to scale its rotary embedding, and
    `max_lora_rank`, the largest rank among the adapters, to make room for them.
    """
    chosen = {
        "model": str(model),
        "served_model_name": list(served_model_names),
        "dtype": DATA_TYPES[settings.data_type],
        "tensor_parallel_size": settings.tensor_parallel_size,
        "pipeline_parallel_size": settings.pipeline_parallel_size,
        "distributed_executor_backend": executor,
        "max_num_seqs": settings.max_num_seqs,
        "max_model_len": settings.max_model_len,
        "gpu_memory_utilization": settings.gpu_memory_utilization,
        "kv_cache_memory_bytes": settings.kv_cache_bytes,
        "kv_cache_dtype": CACHE_8BIT if settings.cache_8bit else None,
        "quantization": _quantization(settings),
        "cpu_offload_gb": settings.cpu_offload_gb or None,
        "trust_remote_code": settings.trust_remote_code or None,
        "hf_overrides": rope_overrides(settings, model_config or {}) or None,
        **_lora_arguments(settings, max_lora_rank),
    }
    return {
        **{name: value for name, value in chosen.items() if value is not None},
        **settings.engine_kwargs,
    }


def _quantization(settings: VLLMSettings) -> str | None:
    if settings.load_in_8bit:
        return LOAD_IN_8BIT
    return LOAD_IN_4BIT if settings.load_in_4bit else None


def _lora_arguments(settings: VLLMSettings, max_lora_rank: int | None) -> dict[str, Any]:
    if not settings.lora_adapters:
        return {}
    modules = [f"{name}={folder}" for name, folder in settings.lora_adapters.items()]
    rank = None if max_lora_rank is None else _room_for_rank(max_lora_rank)
    arguments = {"enable_lora": True, "lora_modules": modules, "max_lora_rank": rank}
    return {"max_loras": len(modules), **arguments}


def _room_for_rank(rank: int) -> int:
    room = next((each for each in LORA_RANKS if each >= rank), None)
    if room is None:
        raise ConfigError(
            f"lora_adapters: an adapter has rank {rank}; vLLM takes {LORA_RANKS[-1]} at most",
            param="lora_adapters",
        )
    return room


def rope_overrides(settings: VLLMSettings, config: Mapping[str, Any]) -> dict[str, Any]:
    """What the settings change in a model's config.json; nothing when they scale nothing.

    `alpha_value` raises the base to `base * alpha ** (d / (d - 2))`, d being a head's size;
    `compress_pos_emb` divides positions. Raises ConfigError for a model whose own scaling they
    would replace.
    """
    if not settings.scales_rope:
        return {}
    own = {**(config.get("rope_scaling") or {}), **(config.get("rope_parameters") or {})}
    kind = own.get("rope_type", own.get("type", "default"))
    if kind != "default":
        raise ConfigError(
            f"alpha_value, compress_pos_emb: this model has rotary scaling of its own ({kind}); "
            "leave both out",
            param="alpha_value",
        )
    theta = float(own.get("rope_theta", config.get("rope_theta", 10000.0)))
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": _scaled(theta, settings, config)}
    if settings.compress_pos_emb != 1:
        # vLLM takes a whole number for a list of factors
        rope |= {"rope_type": "linear", "factor": float(settings.compress_pos_emb)}
    return {"rope_parameters": rope, **_longer_context(settings, config)}


def _scaled(theta: float, settings: VLLMSettings, config: Mapping[str, Any]) -> float:
    if settings.alpha_value == 1:
        return theta
    dim = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    return float(theta * settings.alpha_value ** (dim / (dim - 2)))


def _longer_context(settings: VLLMSettings, config: Mapping[str, Any]) -> dict[str, Any]:
    """Without linear scaling vLLM takes the model's word for how long a context may be."""
    trained = config.get("max_position_embeddings")
    wanted = settings.max_model_len
    if settings.compress_pos_emb != 1 or wanted is None or trained is None or wanted <= trained:
        return {}
    return {"max_position_embeddings": wanted}


def _check_ranges(settings: VLLMSettings) -> None:
    for name, least in _LEAST.items():
        value = getattr(settings, name)
        if value is not None and value < least:
            raise ConfigError(f"{_our(name)}: {value} is below {least:g}", param=_our(name))
    if settings.data_type not in DATA_TYPES:
        raise ConfigError(
            f"data_type: there is no '{settings.data_type}' on GPUs"
            f"{nearest(settings.data_type, list(DATA_TYPES))}; known are {', '.join(DATA_TYPES)}"
            + (", and load_in_8bit for 8-bit weights" if settings.data_type == "int8" else ""),
            param="data_type",
        )
    share = settings.gpu_memory_utilization
    if share is not None and not 0 < share <= 1:
        raise ConfigError(
            f"gpu_memory_utilization: {share} is not a share of a GPU's memory; give one above 0 "
            "and at most 1",
            param="gpu_memory_utilization",
        )


def _our(name: str) -> str:
    return OUR_WORDS.get(name, name)


def _check_quantization(settings: VLLMSettings) -> None:
    words = ("load_in_8bit", "load_in_4bit")
    said = [name for name in words if getattr(settings, name)]
    if len(said) > 1:
        raise ConfigError("load_in_8bit, load_in_4bit: give one of them", param="load_in_4bit")
    for ours, theirs in (*((name, "quantization") for name in said), *_cache_words(settings)):
        if theirs in settings.engine_kwargs:
            raise ConfigError(
                f"engine_kwargs.{theirs}: it is what {ours} sets; give one of them",
                param="engine_kwargs",
            )


def _cache_words(settings: VLLMSettings) -> list[tuple[str, str]]:
    return [("cache_8bit", "kv_cache_dtype")] if settings.cache_8bit else []


def _check_lengths(settings: VLLMSettings) -> None:
    longest, prompt = settings.max_model_len, settings.max_input_len
    if longest is not None and prompt is not None and prompt > longest:
        raise ConfigError(
            f"max_input_len: {prompt} is more than max_model_len, which is {longest}",
            param="max_input_len",
        )
    if settings.scales_rope and "hf_overrides" in settings.engine_kwargs:
        raise ConfigError(
            "engine_kwargs.hf_overrides: alpha_value and compress_pos_emb set it; give the scaling "
            "in one of the two ways",
            param="engine_kwargs",
        )


def _check_lora(settings: VLLMSettings) -> None:
    for name, folder in settings.lora_adapters.items():
        if not name or not folder or "=" in name:
            raise ConfigError(
                f"lora_adapters: '{name}: {folder}' is not a model name (without '=') and the "
                "folder of its adapter",
                param="lora_adapters",
            )


def _check_engine_kwargs(settings: VLLMSettings) -> None:
    for name in settings.engine_kwargs:
        if name in OUR_WORDS:
            raise ConfigError(
                f"engine_kwargs.{name}: here this is {OUR_WORDS[name]}; set that instead",
                param="engine_kwargs",
            )

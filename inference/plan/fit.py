"""What one replica takes on each device and how many sequences it then holds. Pure.

GPUs by the same arithmetic that tells an operator of VLLMPredictDeployment why a model does not
fit (`serving.gpu.memory_advice`), CPUs by the budgets of the engines for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from inference.plan.fleet import GPU_KINDS, DeviceKind, Model, Precision
from inference.plan.model_facts import ModelFacts
from inference.plan.plan import DeviceBytes
from serving.engines.openvino import kv_block_bytes
from serving.engines.openvino_batcher import BLOCK_TOKENS
from serving.errors import ConfigError
from serving.gpu.gpu_arithmetic import GIB, OVERHEAD_BYTES
from serving.gpu.memory_advice import SHARE_4BIT, SHARE_8BIT, kv_element_bytes, need
from serving.gpu.placement import GPU_MEMORY_UTILIZATION
from serving.gpu.vllm_settings import VLLMSettings
from serving.kv_budget import kv_budget, model_len
from serving.model_shape import DEFAULT_BYTES, ModelShape

CPU_OVERHEAD_BYTES = 2 * GIB  # a replica's process, its libraries and scratch memory
MOST_SEQUENCES_GPU = VLLMSettings().max_num_seqs
MOST_SEQUENCES_CPU = 32  # beyond it, CPUs have long been busy computing

# A replica on GPUs: a process for HTTP and one for each GPU, with a core and so much memory each.
HOST_BYTES_PER_PROCESS = 2 * GIB

CPU_ENGINES: dict[DeviceKind, str] = {"intel_cpu": "openvino", "amd_cpu": "onnx"}
OTHER_CPU_ENGINE = "transformers"  # for weights that are not in whole numbers
CPU_WEIGHT_SHARES = {
    "int8": SHARE_8BIT,
    "int4": SHARE_4BIT,
    "bfloat16": 1.0,
    "float16": 1.0,
    "float32": 2.0,
}
# Engines for CPUs that keep keys and values so; onnx half as many bytes where its own kernels run.
FLOAT32_CACHES = ("onnx", "optimum")
VLLM = "vllm"


@dataclass(frozen=True, slots=True)
class Running:
    """What runs a model on one kind of device, and how it holds the weights."""

    engine: str
    precision: str
    kv_bytes_per_token: float  # of all layers, on one device that holds all heads


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why a model cannot run on a kind of device, or a replica not on a device."""

    reason: str


@dataclass(frozen=True, slots=True)
class Fit:
    """One replica on devices of one sort."""

    bytes_per_device: DeviceBytes
    kv_bytes_per_token: float  # on each device
    max_sequences: int  # of `context` tokens
    expected_sequences: int  # of `tokens` tokens
    most_sequences: int  # that it runs at once, however short


def context_of(model: Model, facts: ModelFacts) -> int:
    """Tokens of the longest sequence; raises ConfigError for more than the model was made for."""
    try:
        return model_len(facts.shape.max_model_len, model.context)
    except ConfigError as error:
        text = error.message.replace("max_model_len", f"models.{model.name}.context")
        raise ConfigError(text, param="context") from error


def tokens_of(model: Model, facts: ModelFacts) -> int:
    """Tokens of a usual sequence."""
    context = context_of(model, facts)
    return min(model.tokens or context, context)


def most_sequences(model: Model, kind: DeviceKind) -> int:
    """That one replica runs at once, however short: args' batch_size, where it is said."""
    usual = MOST_SEQUENCES_GPU if kind in GPU_KINDS else MOST_SEQUENCES_CPU
    return int(model.args.get("batch_size", usual))


def running(model: Model, facts: ModelFacts, kind: DeviceKind) -> Running | Unfit:
    """How the model would run on a kind of device."""
    on_gpus = kind in GPU_KINDS
    if model.engine is not None and (model.engine == VLLM) != on_gpus:
        return Unfit(f"engine: {model.engine} does not run on {words(kind)}")
    if facts.shape.quantized and model.precision != "auto":
        return Unfit("precision: the checkpoint is quantised already; leave precision out")
    return _on_gpus(model, facts) if on_gpus else _on_cpus(model, facts, kind)


def _on_gpus(model: Model, facts: ModelFacts) -> Running:
    settings = vllm_settings(model, 1, context_of(model, facts))
    per_token = facts.shape.kv_bytes_per_token(kv_element_bytes(settings))
    names = {"int8": "fp8"}  # 8 bits are fp8 there
    return Running(VLLM, names.get(model.precision, model.precision), per_token)


def _on_cpus(model: Model, facts: ModelFacts, kind: DeviceKind) -> Running | Unfit:
    if facts.shape.quantized:
        return Unfit("source: the engines for CPUs load no checkpoint that is quantised already")
    precision = "int8" if model.precision == "auto" else model.precision
    if precision not in CPU_WEIGHT_SHARES:
        return Unfit(f"precision: {precision} is for GPUs; CPUs run int8, int4 or 16 bits")
    integers = precision in ("int8", "int4")
    engine = model.engine or (CPU_ENGINES[kind] if integers else OTHER_CPU_ENGINE)
    return Running(engine, precision, _kv_bytes_on_cpu(engine, facts.shape))


def _kv_bytes_on_cpu(engine: str, shape: ModelShape) -> float:
    if engine == "openvino":
        return kv_block_bytes(shape) / BLOCK_TOKENS
    return shape.kv_bytes_per_token(4 if engine in FLOAT32_CACHES else DEFAULT_BYTES)


def words(kind: DeviceKind) -> str:
    """A kind of device for people."""
    vendor, _, what = kind.partition("_")
    names = {"nvidia": "NVIDIA", "amd": "AMD", "intel": "Intel"}
    return f"{names[vendor]} {what.upper()}s"


_VLLM_WORDS: dict[Precision, dict[str, Any]] = {
    "auto": {},
    "float32": {"data_type": "float32"},
    "bfloat16": {"data_type": "bfloat16"},
    "float16": {"data_type": "float16"},
    "fp8": {"load_in_8bit": True},
    "int8": {"load_in_8bit": True},
    "int4": {"load_in_4bit": True},
}


def vllm_settings(model: Model, width: int, context: int) -> VLLMSettings:
    """As vLLM would be told."""
    return VLLMSettings(
        tensor_parallel_size=width,
        max_model_len=context,
        cache_8bit=model.cache_8bit,
        **_VLLM_WORDS[model.precision],
    )


def on_gpus(model: Model, facts: ModelFacts, width: int, memory_bytes: int) -> Fit | Unfit:
    """A replica over `width` GPUs of so much memory each."""
    context = context_of(model, facts)
    wants = need(facts.shape, vllm_settings(model, width, context))
    share = float(model.args.get("gpu_memory_utilization", GPU_MEMORY_UTILIZATION))
    usable = int(memory_bytes * share)
    room = usable - wants.weight_bytes - wants.overhead_bytes
    if room < wants.kv_bytes:
        return Unfit(
            f"each of {width} GPU{'s' * (width > 1)} needs {gib(wants.total_bytes)} "
            f"({gib(wants.weight_bytes)} of weights, {gib(wants.kv_bytes)} of KV cache for one "
            f"sequence of {context} tokens, {gib(wants.overhead_bytes)} for the rest) and has "
            f"{gib(usable)} ({share:.0%} of {gib(memory_bytes)})"
        )
    per_token = wants.kv_bytes / context
    most = most_sequences(model, "nvidia_gpu")
    return Fit(
        DeviceBytes(wants.weight_bytes, room, OVERHEAD_BYTES),
        per_token,
        min(most, room // wants.kv_bytes),
        min(most, int(room // (per_token * tokens_of(model, facts)))),
        most,
    )


def on_cpus(model: Model, facts: ModelFacts, kind: DeviceKind, memory_bytes: int) -> Fit | Unfit:
    """A replica that may take so much of its sockets' memory."""
    how = running(model, facts, kind)
    if isinstance(how, Unfit):
        return how
    context = context_of(model, facts)
    weights = round(facts.shape.weight_bytes * CPU_WEIGHT_SHARES[how.precision])
    most = most_sequences(model, kind)
    useful = min(most, model.concurrency) * context * how.kv_bytes_per_token
    room = memory_bytes - weights - CPU_OVERHEAD_BYTES
    budget = kv_budget(round(useful), None, max(0, room))
    one = context * how.kv_bytes_per_token
    if budget < one:
        return Unfit(
            f"a replica needs {gib(weights)} of weights, {gib(CPU_OVERHEAD_BYTES)} for its process "
            f"and twice the {gib(round(one))} of KV cache for one sequence of {context} tokens, "
            f"and its cores come with {gib(memory_bytes)}"
        )
    usual = tokens_of(model, facts) * how.kv_bytes_per_token
    return Fit(
        DeviceBytes(weights, budget, CPU_OVERHEAD_BYTES),
        how.kv_bytes_per_token,
        min(most, int(budget // one)),
        min(most, int(budget // usual)),
        most,
    )


def gib(size: float) -> str:
    """Bytes for people."""
    return f"{size / GIB:.1f} GiB"

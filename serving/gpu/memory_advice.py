"""Why a model does not fit a GPU, in bytes, and the nearest settings with which it does.

An estimate from the model's shape: weights, the KV cache of one request of full length, and an
allowance for the rest. vLLM measures the truth; this is what a person would work out to help it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from serving.gpu.gpu_arithmetic import GIB, OVERHEAD_BYTES, Recommendation, recommend
from serving.gpu.vllm_settings import DATA_TYPES, VLLMSettings
from serving.model_shape import DEFAULT_BYTES, ModelShape

# Bits per weight, with their scales, against the 16 that ModelShape counts. Embeddings and the
# output layer stay as they are, which these shares round up for.
SHARE_8BIT = 0.55
SHARE_4BIT = 0.32
CONTEXT_STEP = 256  # shorter contexts are named in multiples of this
WIDTHS = (2, 4, 8, 16)

Fallback = Literal["offload", "quantize"]


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes that one GPU of a replica must have."""

    weight_bytes: int
    kv_bytes: int  # of one request of max_model_len
    overhead_bytes: int = OVERHEAD_BYTES

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.weight_bytes + self.kv_bytes + self.overhead_bytes


@dataclass(frozen=True, slots=True)
class Remedy:
    """One setting that makes the model fit."""

    name: str  # the operator's word
    value: Any
    settings: VLLMSettings  # with it applied


def need(shape: ModelShape, settings: VLLMSettings) -> Need:
    """What each GPU needs; weights and KV heads are divided evenly among them."""
    weights = shape.weight_bytes * _weight_share(shape, settings) / settings.num_gpus
    weights -= settings.cpu_offload_gb * GIB
    tokens = settings.max_model_len or shape.max_model_len
    kv = tokens * shape.kv_bytes_per_token(kv_element_bytes(settings))
    # Tensor parallel ranks beyond the number of KV heads hold copies.
    ranks = min(settings.tensor_parallel_size, shape.num_kv_heads)
    return Need(
        max(0, math.ceil(weights)), math.ceil(kv / (ranks * settings.pipeline_parallel_size))
    )


def kv_element_bytes(settings: VLLMSettings) -> int:
    """Of one number in the KV cache, which is kept in the weights' type unless told otherwise."""
    if settings.cache_8bit:
        return 1
    return 2 * DEFAULT_BYTES if DATA_TYPES[settings.data_type] == "float32" else DEFAULT_BYTES


def _weight_share(shape: ModelShape, settings: VLLMSettings) -> float:
    if shape.quantized:
        return 1.0
    if settings.load_in_8bit:
        return SHARE_8BIT
    if settings.load_in_4bit:
        return SHARE_4BIT
    return 2.0 if DATA_TYPES[settings.data_type] == "float32" else 1.0


def remedies(shape: ModelShape, settings: VLLMSettings, available_bytes: int) -> list[Remedy]:
    """Settings that are enough by themselves, those that cost callers least first.

    Empty when it fits as it is, or when no single setting is enough.
    """
    if need(shape, settings).total_bytes <= available_bytes:
        return []
    candidates = _candidates(shape, settings, available_bytes)
    return [
        each for each in candidates if need(shape, each.settings).total_bytes <= available_bytes
    ]


def _candidates(
    shape: ModelShape, settings: VLLMSettings, available_bytes: int
) -> Iterator[Remedy]:
    yield from _cache_in_8bit(settings)
    yield from _shorter_context(shape, settings, available_bytes)
    if not _quantized(shape, settings):
        yield Remedy("load_in_8bit", True, replace(settings, load_in_8bit=True))
        yield Remedy("load_in_4bit", True, replace(settings, load_in_4bit=True))
    yield from _wider(shape, settings)
    yield from _offload(shape, settings, available_bytes)


def _quantized(shape: ModelShape, settings: VLLMSettings) -> bool:
    said = settings.load_in_8bit or settings.load_in_4bit
    return shape.quantized or said or "quantization" in settings.engine_kwargs


def _cache_in_8bit(settings: VLLMSettings) -> Iterator[Remedy]:
    if not settings.cache_8bit and "kv_cache_dtype" not in settings.engine_kwargs:
        yield Remedy("cache_8bit", True, replace(settings, cache_8bit=True))


def _shorter_context(
    shape: ModelShape, settings: VLLMSettings, available_bytes: int
) -> Iterator[Remedy]:
    """The longest context that fits, if it leaves room for a prompt of max_input_len."""
    now = need(shape, settings)
    tokens = settings.max_model_len or shape.max_model_len
    room = available_bytes - now.weight_bytes - now.overhead_bytes
    fitting = math.floor(tokens * room / now.kv_bytes) // CONTEXT_STEP * CONTEXT_STEP
    if max(settings.max_input_len or 0, 1) <= fitting < tokens:
        yield Remedy("max_model_len", fitting, replace(settings, max_model_len=fitting))


def _wider(shape: ModelShape, settings: VLLMSettings) -> Iterator[Remedy]:
    for width in WIDTHS:
        if width > settings.tensor_parallel_size and shape.num_attention_heads % width == 0:
            yield Remedy("gpu_count", width, replace(settings, tensor_parallel_size=width))


def _offload(shape: ModelShape, settings: VLLMSettings, available_bytes: int) -> Iterator[Remedy]:
    now = need(shape, settings)
    excess = now.total_bytes - available_bytes
    if excess <= now.weight_bytes:
        gib = math.ceil(settings.cpu_offload_gb + excess / GIB)
        yield Remedy("cpu_offload_gb", gib, replace(settings, cpu_offload_gb=gib))


def advice(
    shape: ModelShape,
    settings: VLLMSettings,
    available_bytes: int,
    num_gpus: int = 1,
    room_bytes: int | None = None,
) -> str:
    """How much is needed, how much there is, and what to set; one sentence for the operator.

    `num_gpus`: those of the node, for advice on how to use them all. `room_bytes`: what must do,
    where less than is available has turned out to be free.
    """
    wants = need(shape, settings)
    room = available_bytes if room_bytes is None else room_bytes
    fitting = _one_of_each(remedies(shape, settings, room))
    cure = (
        "set " + ", or ".join(f"{each.name}: {_yaml(each.value)}" for each in fitting)
        if fitting
        else "no single setting makes it fit: use larger GPUs, more of them (gpu_count), or a "
        "smaller model"
    )
    best = recommendation(shape, settings, room, num_gpus)
    there = f"has {_gib(available_bytes)}"
    if room < available_bytes:
        there += ", which was not enough"
    use = "" if best is None else f"; for the {num_gpus} GPUs of this node {best.sentence()}"
    return (
        f"each GPU needs about {_gib(wants.total_bytes)} ({_gib(wants.weight_bytes)} of weights, "
        f"{_gib(wants.kv_bytes)} of KV cache for one full-length request, "
        f"{_gib(wants.overhead_bytes)} for the rest) and {there}; {cure}{use}"
    )


def kv_cache_advice(shape: ModelShape, settings: VLLMSettings) -> str | None:
    """What to set when `kv_cache_bytes` is less than one request may need; None: it is enough."""
    wanted = need(shape, settings).kv_bytes
    given = settings.kv_cache_bytes
    if given is None or given >= wanted:
        return None
    tokens = settings.max_model_len or shape.max_model_len
    fitting = tokens * given // wanted // CONTEXT_STEP * CONTEXT_STEP
    shorter = f", or max_model_len: {fitting}" if fitting else ""
    return (
        f"kv_cache_bytes: {given} is less than the {wanted} that one request of {tokens} tokens "
        f"needs on each GPU; set kv_cache_bytes: {wanted}{shorter}"
    )


def recommendation(
    shape: ModelShape, settings: VLLMSettings, available_bytes: int, num_gpus: int
) -> Recommendation | None:
    """How a node's GPUs are used best for this model as it is set; None: there is but one way."""
    if num_gpus < 2:
        return None
    alone = need(shape, replace(settings, tensor_parallel_size=1, pipeline_parallel_size=1))
    return recommend(
        weight_bytes=alone.weight_bytes,
        kv_bytes=alone.kv_bytes,
        usable_bytes=available_bytes,
        num_gpus=num_gpus,
        num_attention_heads=shape.num_attention_heads,
    )


def _one_of_each(found: list[Remedy]) -> list[Remedy]:
    """The first, which is the nearest, of each name."""
    first: dict[str, Remedy] = {}
    for each in found:
        first.setdefault(each.name, each)
    return list(first.values())


def fall_back(
    shape: ModelShape, settings: VLLMSettings, available_bytes: int, how: Fallback
) -> VLLMSettings | None:
    """The settings to try once after running out of memory, if `how` can help."""
    names = {"offload": ("cpu_offload_gb",), "quantize": ("load_in_8bit", "load_in_4bit")}[how]
    found = remedies(shape, settings, available_bytes)
    return next((each.settings for each in found if each.name in names), None)


def _yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"

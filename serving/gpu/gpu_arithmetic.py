"""How GPUs divide among replicas: what fits nowhere, what stays idle, what would use them best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from serving.errors import ConfigError
from serving.gpu.placement import Wanted

GIB = 2**30
# Activations, captured graphs and the driver's own memory, per GPU: what weights and KV cache are
# not. A guess that errs low; vLLM measures the truth when it starts.
OVERHEAD_BYTES = 1 * GIB


def check_cluster(wanted: Wanted, gpus_of_nodes: Sequence[int]) -> None:
    """Raises ConfigError when nodes with so many GPUs each can never hold one replica."""
    total, most = sum(gpus_of_nodes), max(gpus_of_nodes, default=0)
    if (total if wanted.spans_nodes else most) >= wanted.num_gpus:
        return
    if not total:
        raise ConfigError(
            "gpu_count: this cluster has no GPU; set target_device: AMD or INTEL for the engines "
            "for CPUs, or vllm_device: cpu where a vLLM built for CPUs is installed",
            param="gpu_count",
        )
    there = ", ".join(str(count) for count in sorted(gpus_of_nodes, reverse=True) if count)
    raise ConfigError(
        f"gpu_count: one replica needs {wanted.num_gpus} GPUs"
        f"{'' if wanted.spans_nodes else ' of one node'}, and the nodes of this cluster have "
        f"{there}; set gpu_count: {most} or less" + _spread_hint(wanted, total),
        param="gpu_count",
    )


def _spread_hint(wanted: Wanted, total: int) -> str:
    if wanted.spans_nodes or total < wanted.num_gpus:
        return ", or add a node that has enough"
    return ", or across_nodes: true, which is several times slower"


def idle_gpus(wanted: Wanted, num_gpus: int) -> str | None:
    """What is left over when `num_gpus` of a node are divided among replicas, for a log."""
    replicas, idle = divmod(num_gpus, wanted.num_gpus)
    if not idle:
        return None
    fitting = [size for size in range(1, num_gpus + 1) if num_gpus % size == 0]
    return (
        f"gpu_count: {num_gpus} GPUs / {wanted.num_gpus} for each replica = {replicas} replicas "
        f"and {idle} left over on such a node; {_or(fitting)} would use all"
    )


def check_replicas(num_replicas: int, replicas_per_gpu: int) -> None:
    """Raises ConfigError when the last GPU would hold fewer replicas than the others."""
    gpus, left = divmod(num_replicas, replicas_per_gpu)
    if left:
        raise ConfigError(
            f"num_replicas: {num_replicas} replicas / {replicas_per_gpu} on each GPU = {gpus} GPUs "
            f"and {left} left over, whose GPU would be part empty; use {gpus * replicas_per_gpu} "
            f"or {(gpus + 1) * replicas_per_gpu}",
            param="num_replicas",
        )


@dataclass(frozen=True, slots=True)
class Recommendation:
    """How to use some GPUs for one model."""

    tensor_parallel_size: int
    num_replicas: int

    def sentence(self) -> str:
        """For a log or an error."""
        return (
            f"set gpu_count: {self.tensor_parallel_size} and num_replicas: {self.num_replicas} "
            "(more replicas serve more than wider ones)"
        )


def recommend(
    *,
    weight_bytes: int,
    kv_bytes: int,
    usable_bytes: int,
    num_gpus: int,
    num_attention_heads: int | None = None,
) -> Recommendation | None:
    """The narrowest replicas that hold the model, and as many of them; None: it fits on none.

    `kv_bytes`: KV cache that one replica should have at least; `usable_bytes`: of each GPU. A
    width must divide the number of GPUs, so that none stays idle, and of attention heads, as vLLM
    asks.
    """
    room = usable_bytes - OVERHEAD_BYTES
    for width in range(1, num_gpus + 1):
        divides = num_gpus % width == 0 and (num_attention_heads or width) % width == 0
        if divides and weight_bytes + kv_bytes <= room * width:
            return Recommendation(width, num_gpus // width)
    return None


def _or(sizes: list[int]) -> str:
    words = [str(size) for size in sizes]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"

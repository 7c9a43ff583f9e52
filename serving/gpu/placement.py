"""Which GPUs one replica takes, and how many replicas fit: decisions only, before Ray is asked.

On one node a replica's actor holds all of its GPUs itself. Ray gives an actor's resources on one
node or not at all, which is as strict as a STRICT_PACK placement group; the replica sees its GPUs
and vLLM's own processes use them, with no Ray between them. Across nodes, which has to be asked
for, a placement group holds one bundle per GPU and vLLM's workers are Ray actors in it.
Nothing here knows whose GPUs they are: Ray calls NVIDIA's and AMD's `GPU` alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from serving.errors import ConfigError

# How vLLM runs its workers; None: it needs but one and decides itself.
Executor = Literal["mp", "ray"] | None

GPU_MEMORY_UTILIZATION = 0.92  # vLLM's own default
SMALLEST_SHARE = 10_000  # Ray counts ten-thousandths of a GPU
GIB = 2**30
# Activations, captured graphs and the driver's own memory, per GPU: what weights and KV cache are
# not. A guess that errs low; vLLM measures the truth when it starts.
OVERHEAD_BYTES = 1 * GIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked for one replica, under the operator's words."""

    gpu_count: int = 1  # tensor parallel size
    pipeline_parallel_size: int = 1
    replicas_per_gpu: int = 1
    across_nodes: bool | None = None  # None: only with pipeline_parallel_size
    num_cpus: float = 1

    def __post_init__(self) -> None:
        """Raises ConfigError for what no placement can satisfy."""
        for name in ("gpu_count", "pipeline_parallel_size", "replicas_per_gpu"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: {getattr(self, name)} is below 1", param=name)
        if self.replicas_per_gpu > 1 and self.num_gpus > 1:
            raise ConfigError(
                f"replicas_per_gpu: a replica of {self.num_gpus} GPUs cannot share them with "
                "others; leave it out, or set gpu_count: 1",
                param="replicas_per_gpu",
            )
        if self.replicas_per_gpu > SMALLEST_SHARE:
            raise ConfigError(
                f"replicas_per_gpu: {self.replicas_per_gpu} is more than {SMALLEST_SHARE}, the "
                "smallest shares Ray counts",
                param="replicas_per_gpu",
            )

    @property
    def num_gpus(self) -> int:
        """GPUs of one replica; 1 when it shares one."""
        return self.gpu_count * self.pipeline_parallel_size

    @property
    def spans_nodes(self) -> bool:
        """Whether its GPUs may be on several nodes."""
        if self.across_nodes is None:
            return self.pipeline_parallel_size > 1
        return self.across_nodes and self.num_gpus > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """What Serve is told about a deployment, and how vLLM's workers run in it."""

    ray_actor_options: dict[str, Any]
    placement_group_bundles: list[dict[str, float]] | None = None
    placement_group_strategy: str | None = None
    executor: Executor

    def serve_options(self) -> dict[str, Any]:
        """Keyword arguments of `serve.deployment`."""
        options: dict[str, Any] = {"ray_actor_options": self.ray_actor_options}
        if self.placement_group_bundles is not None:
            options["placement_group_bundles"] = self.placement_group_bundles
            options["placement_group_strategy"] = self.placement_group_strategy
        return options


def place(wanted: Wanted) -> Placement:
    """Where one replica goes."""
    if not wanted.spans_nodes:
        return Placement(
            ray_actor_options={"num_cpus": wanted.num_cpus, "num_gpus": gpus_of_actor(wanted)},
            executor=None if wanted.num_gpus == 1 else "mp",
        )
    # The replica itself is in the first bundle, and needs no GPU: vLLM's workers take them.
    first = {"CPU": wanted.num_cpus, "GPU": 1.0}
    others: list[dict[str, float]] = [{"GPU": 1.0} for _ in range(wanted.num_gpus - 1)]
    return Placement(
        ray_actor_options={"num_cpus": wanted.num_cpus, "num_gpus": 0},
        placement_group_bundles=[first, *others],
        placement_group_strategy="PACK",  # as few nodes as hold them
        executor="ray",
    )


def place_on_cpu(num_cpus: float, tensor_parallel_size: int = 1) -> Placement:
    """For a vLLM built for CPUs: laptops and tests."""
    return Placement(
        ray_actor_options={"num_cpus": num_cpus, "num_gpus": 0},
        executor=None if tensor_parallel_size == 1 else "mp",
    )


def gpus_of_actor(wanted: Wanted) -> float:
    """Ray's `num_gpus` for one replica: all of its GPUs, or its share of one, never rounded up."""
    if wanted.replicas_per_gpu == 1:
        return wanted.num_gpus
    return SMALLEST_SHARE // wanted.replicas_per_gpu / SMALLEST_SHARE


def memory_share(wanted: Wanted, gpu_memory_utilization: float | None) -> float | None:
    """One replica's part of each GPU's memory; None leaves vLLM its default.

    `gpu_memory_utilization` is what all replicas of a GPU may use together.
    """
    if wanted.replicas_per_gpu == 1:
        return gpu_memory_utilization
    whole = gpu_memory_utilization or GPU_MEMORY_UTILIZATION
    return math.floor(whole * SMALLEST_SHARE / wanted.replicas_per_gpu) / SMALLEST_SHARE


def executor_here(wanted: Wanted, planned: Executor, num_gpus_given: int) -> Executor:
    """How vLLM's workers run in a replica to which Ray gave `num_gpus_given` GPUs.

    A config's `ray_actor_options` replaces ours whole, and with it the GPUs. Then vLLM reserves
    them by a placement group of its own, so that the replica still holds what it uses and nothing
    else. Raises ConfigError where the config says a different number.
    """
    if planned == "ray" or num_gpus_given == wanted.num_gpus:
        return planned
    if num_gpus_given:
        raise ConfigError(
            f"ray_actor_options.num_gpus: Ray gave this replica {num_gpus_given}, but gpu_count "
            f"{wanted.gpu_count} needs {wanted.num_gpus}; leave num_gpus out, or make them equal",
            param="ray_actor_options",
        )
    if wanted.replicas_per_gpu > 1:
        raise ConfigError(
            f"replicas_per_gpu: the config's ray_actor_options replaces ours and takes no GPU; add "
            f"num_gpus: {gpus_of_actor(wanted)} to it",
            param="ray_actor_options",
        )
    return "ray"


def replicas_on(num_gpus: int, wanted: Wanted) -> int:
    """How many replicas `num_gpus` GPUs hold; ConfigError when some GPUs would stay idle."""
    replicas, idle = divmod(num_gpus, wanted.num_gpus)
    if idle or not replicas:
        fitting = [size for size in range(1, num_gpus + 1) if num_gpus % size == 0]
        raise ConfigError(
            f"gpu_count: {num_gpus} GPUs / {wanted.num_gpus} for each replica = {replicas} "
            f"replicas and {idle} GPUs left over; use {_or(fitting)} GPUs for each",
            param="gpu_count",
        )
    return replicas * wanted.replicas_per_gpu


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
    gpu_memory_bytes: int,
    num_gpus: int,
    num_attention_heads: int | None = None,
    gpu_memory_utilization: float = GPU_MEMORY_UTILIZATION,
) -> Recommendation | None:
    """The narrowest replicas that hold the model, and as many of them; None: it fits on none.

    `kv_bytes`: KV cache that one replica should have at least. A width must divide the number of
    GPUs, so that none stays idle, and of attention heads, as vLLM asks.
    """
    usable = gpu_memory_bytes * gpu_memory_utilization - OVERHEAD_BYTES
    for width in range(1, num_gpus + 1):
        divides = num_gpus % width == 0 and (num_attention_heads or width) % width == 0
        if divides and weight_bytes + kv_bytes <= usable * width:
            return Recommendation(width, num_gpus // width)
    return None


def _or(sizes: list[int]) -> str:
    words = [str(size) for size in sizes]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"

"""Which GPUs one replica takes: decisions only, before Ray is asked.

On one node a replica's actor holds all of its GPUs itself. Ray gives an actor's resources on one
node or not at all, which is as strict as a STRICT_PACK placement group; the replica sees its GPUs
and vLLM's own processes use them, with no Ray between them. Across nodes, which has to be asked
for, a placement group holds one bundle per GPU and vLLM's workers are Ray actors in it.
Nothing here knows whose GPUs they are: Ray calls NVIDIA's and AMD's `GPU` alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from serving.errors import ConfigError

# How vLLM runs its workers; None: it needs but one and decides itself.
Executor = Literal["mp", "ray"] | None

GPU_MEMORY_UTILIZATION = 0.92  # vLLM's own default
SMALLEST_SHARE = 10_000  # Ray counts ten-thousandths of a GPU


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked for one replica, under the operator's words."""

    gpu_count: int = 1  # tensor parallel size
    pipeline_parallel_size: int = 1
    replicas_per_gpu: int = 1
    across_nodes: bool | None = None  # None: only with pipeline_parallel_size
    num_cpus: float = 1
    accelerator_type: str | None = (
        None  # Ray's word for a product: L4, H100, AMD-Instinct-MI300X-OAM
    )
    label_selector: Mapping[str, str] = field(default_factory=dict)  # of a node's labels

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
    def shares_gpu(self) -> bool:
        """Whether other replicas are on its GPU."""
        return self.replicas_per_gpu > 1

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
    placement_group: Mapping[str, Any] = field(default_factory=dict)  # Serve's words for one
    executor: Executor

    def serve_options(self) -> dict[str, Any]:
        """Keyword arguments of `serve.deployment`."""
        return {"ray_actor_options": self.ray_actor_options, **self.placement_group}


def place(wanted: Wanted) -> Placement:
    """Where one replica goes."""
    if wanted.spans_nodes:
        return _across_nodes(wanted)
    options: dict[str, Any] = {"num_cpus": wanted.num_cpus, "num_gpus": gpus_of_actor(wanted)}
    if wanted.accelerator_type is not None:
        options["accelerator_type"] = wanted.accelerator_type
    return Placement(
        ray_actor_options=options | _labels(wanted),
        executor=None if wanted.num_gpus == 1 else "mp",
    )


def _across_nodes(wanted: Wanted) -> Placement:
    """The replica itself is in the first bundle, and needs no GPU: vLLM's workers take them."""
    gpu = {"GPU": 1.0}
    if wanted.accelerator_type is not None:
        gpu[f"accelerator_type:{wanted.accelerator_type}"] = 0.001  # as Ray itself asks for one
    bundles = [{"CPU": wanted.num_cpus, **gpu}, *([gpu] * (wanted.num_gpus - 1))]
    group: dict[str, Any] = {
        "placement_group_bundles": bundles,
        "placement_group_strategy": "PACK",  # as few nodes as hold them
    }
    if wanted.label_selector:
        selectors = [dict(wanted.label_selector)] * len(bundles)
        group["placement_group_bundle_label_selector"] = selectors
    return Placement(
        ray_actor_options={"num_cpus": wanted.num_cpus, "num_gpus": 0},
        placement_group=group,
        executor="ray",
    )


def _labels(wanted: Wanted) -> dict[str, Any]:
    return {"label_selector": dict(wanted.label_selector)} if wanted.label_selector else {}


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


def gpus_to_reserve(wanted: Wanted, num_gpus_given: int) -> float:
    """What a replica must take for itself when Ray gave it `num_gpus_given` GPUs; usually 0.

    A config's `ray_actor_options` replaces ours whole, and with it the GPUs. Raises ConfigError
    where the config says a different number.
    """
    if wanted.spans_nodes or num_gpus_given == wanted.num_gpus:
        return 0
    if num_gpus_given:
        raise ConfigError(
            f"ray_actor_options.num_gpus: Ray gave this replica {num_gpus_given}, but gpu_count "
            f"{wanted.gpu_count} needs {wanted.num_gpus}; leave num_gpus out, or make them equal",
            param="ray_actor_options",
        )
    return gpus_of_actor(wanted)

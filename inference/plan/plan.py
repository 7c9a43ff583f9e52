"""A plan: which replica goes where, what it takes there and what it gives; and what found no place.

Plain data, made by `planner.make_plan`, read by the table, by `--json`, by the simulation and by
whoever writes manifests. Sizes are bytes, rates are tokens/s of all sequences together.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from inference.plan.fleet import DeviceKind

Bottleneck = Literal["memory bandwidth", "compute", "KV memory", "interconnect"]


@dataclass(frozen=True, slots=True)
class Device:
    """One GPU of a node, or one of its sockets."""

    node: str
    index: int  # of the GPU among its node's, or of the socket
    product: str  # the GPU's product, or the CPU's vendor


@dataclass(frozen=True, slots=True)
class DeviceBytes:
    """Memory that a replica takes on each of its devices."""

    weights: int
    kv_cache: int  # on GPUs all that is left, on CPUs what expected sequences can need
    overhead: int  # activations, graphs, the driver; a process of its own on CPUs

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.kv_cache + self.overhead


@dataclass(frozen=True, slots=True)
class Replica:
    """One replica in its place."""

    model: str
    number: int  # from 0 among its model's
    node: str  # of its first device, where the replica's actor is
    devices: tuple[Device, ...]  # on one node, unless the model says across_nodes
    bytes_per_device: DeviceBytes
    max_sequences: int  # of `context` tokens whose KV cache fits at once
    expected_sequences: int  # of `tokens` tokens, a usual request
    concurrency: int  # sequences at once that are expected here, at most those that fit
    decode_tokens_per_s: float  # expected at that concurrency
    step_s: float  # of one decode step at that concurrency: the time between two tokens
    bottleneck: Bottleneck


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """What all replicas of one model have in common: one deployment."""

    name: str
    kind: DeviceKind
    engine: str
    precision: str  # of weights as they run: bfloat16, fp8, int8, …
    tensor_parallel_size: int  # 1 on CPUs
    num_cpus: int  # that one replica asks of Ray; its threads on CPUs
    memory_bytes: int  # of the host, for one replica
    context: int  # max_model_len
    max_num_seqs: int  # sequences that one replica runs at once: args' batch_size
    num_replicas: int
    replicas: tuple[Replica, ...]
    why: str  # this width and this number, in one sentence

    @property
    def max_sequences(self) -> int:
        """Sequences of full length that fit at once, over all replicas."""
        return sum(replica.max_sequences for replica in self.replicas)

    @property
    def decode_tokens_per_s(self) -> float:
        """Of all replicas together."""
        return sum(replica.decode_tokens_per_s for replica in self.replicas)


@dataclass(frozen=True, slots=True)
class NodeFree:
    """What replicas leave on a node."""

    node: str
    cores: int
    memory_bytes: int
    gpus: tuple[str, ...]  # product of each GPU that no replica has


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the fleet file with which the model fits, tried by planning again."""

    field: str  # models.llama2.precision, nodes.gpu.count, …
    value: Any
    sentence: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A model that found no place, or not for all that was asked of it."""

    model: str
    missing_replicas: int  # 0: all are placed, but hold fewer sequences than are expected
    reason: str  # with the arithmetic
    changes: tuple[Change, ...]  # the nearest first; each is enough by itself


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that was decided."""

    models: tuple[ModelPlan, ...]  # in the file's order; those without any replica are left out
    free: tuple[NodeFree, ...]  # every node, in the file's order
    refusals: tuple[Refusal, ...]

    @property
    def replicas(self) -> tuple[Replica, ...]:
        """Of all models."""
        return tuple(replica for model in self.models for replica in model.replicas)

    def model(self, name: str) -> ModelPlan | None:
        """What was decided for a model; None: it has no replica."""
        return next((each for each in self.models if each.name == name), None)

    def as_json(self) -> dict[str, Any]:
        """Plain dicts and lists."""
        return asdict(self)

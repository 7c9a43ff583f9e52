"""A fleet as people describe it: machines, and the models that they are to serve.

What stands in a fleet file, field by field; `load` reads one, `this_machine` and `from_cluster`
find the nodes out by themselves. Nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import (
    ByteSize,
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from inference.args import ALIASES, ApplicationArgs
from inference.part import Part

Vendor = Literal["INTEL", "AMD"]  # of a node's CPUs: the words of `target_device`
GpuVendor = Literal["NVIDIA", "AMD"]

# What one replica runs on. A model's replicas are all of one kind: they are one deployment, with
# one image, one engine and one request for resources.
DeviceKind = Literal["nvidia_gpu", "amd_gpu", "intel_cpu", "amd_cpu"]
KINDS: tuple[DeviceKind, ...] = ("nvidia_gpu", "amd_gpu", "intel_cpu", "amd_cpu")
GPU_KINDS: tuple[DeviceKind, ...] = ("nvidia_gpu", "amd_gpu")
CPU_KINDS: tuple[DeviceKind, ...] = ("intel_cpu", "amd_cpu")

Precision = Literal["auto", "float32", "bfloat16", "float16", "fp8", "int8", "int4"]

# Arguments of an application that follow from a plan, and what to set instead.
PLANNED = {
    "model_name": "set source",
    "served_model_name": "set name",
    "max_model_len": "set context",
    "data_type": "set precision",
    "load_in_8bit": "set precision: fp8",
    "load_in_4bit": "set precision: int4",
    "cache_8bit": "set cache_8bit beside args",
    "gpu_count": "set tensor_parallel_size",
    "pipeline_parallel_size": "leave it out",
    "across_nodes": "set across_nodes beside args",
    "replicas_per_gpu": "leave it out, GPUs are given whole",
    "kv_cache_bytes": "leave it out",
    "cpu_offload_gb": "leave it out",
    "engine": "set engine beside args",
    "target_device": "set device",
    "vllm_device": "set device",
    "num_threads": "set num_cpus",
    "replicas_per_socket": "set num_cpus",
    "label_selector": "set labels",
    "hf_token": "set HF_TOKEN in the environment; a file can be read by others",
}

HEAD_CORES = 4  # of the head, for Ray's own processes and the proxy: what the seed's head keeps


class Gpus(Part):
    """Equal GPUs of one node."""

    product: str  # as nvidia.com/gpu.product or a vendor says it: A100-SXM4-80GB, MI300X
    count: PositiveInt = 1
    memory: ByteSize | None = None  # of each; None: known by the product
    memory_bandwidth: ByteSize | None = None  # bytes/s of each; None: known by the product
    vendor: GpuVendor | None = None  # None: known by the product


class Node(Part):
    """One machine, or `count` equal ones."""

    name: str = Field(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")
    vendor: Vendor = "INTEL"
    cores: PositiveInt  # CPUs as Kubernetes and Ray count them: hyper-threads are several
    threads_per_core: PositiveInt = 1
    sockets: PositiveInt = 1
    memory: ByteSize
    memory_bandwidth: ByteSize | None = None  # bytes/s, all sockets; None: a default per socket
    gpus: tuple[Gpus, ...] = ()
    count: PositiveInt = 1  # of equal nodes, called name-1, name-2, …
    labels: dict[str, str] = Field(default_factory=dict)
    head: bool = False  # Ray's head runs here, beside replicas
    reserved_cores: NonNegativeInt | None = None  # not for replicas; None: HEAD_CORES on the head

    @field_validator("vendor", mode="before")
    @classmethod
    def _any_case(cls, given: Any) -> Any:
        return given.upper() if isinstance(given, str) else given

    @field_validator("gpus", mode="before")
    @classmethod
    def _one_or_many(cls, given: Any) -> Any:
        return [given] if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _sound(self) -> Node:
        if self.head and self.count > 1:
            raise ValueError(f"head: there is one head; give {self.name} count: 1")
        if self.cores < self.sockets:
            raise ValueError(f"sockets: {self.sockets} sockets cannot share {self.cores} cores")
        if self.usable_cores < 1:
            raise ValueError(f"reserved_cores: none of {self.cores} cores is left for replicas")
        return self

    @property
    def usable_cores(self) -> int:
        """CPUs that replicas may have."""
        kept = HEAD_CORES if self.head else 0
        return self.cores - (kept if self.reserved_cores is None else self.reserved_cores)

    def names(self) -> Iterator[str]:
        """Each machine's own name: `name` alone, else `name-1` and so on."""
        if self.count == 1:
            yield self.name
        else:
            yield from (f"{self.name}-{number}" for number in range(1, self.count + 1))


class Model(Part):
    """One model that the fleet is to serve: one Serve application, one route."""

    name: str = Field(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")  # also what callers say
    source: str = Field(min_length=1)  # a folder, or owner/name on the hub: args' model_name
    route: str | None = Field(default=None, pattern=r"^/")  # None: /name
    precision: Precision = "auto"  # how weights are held; auto: as the checkpoint is, int8 on CPUs
    cache_8bit: bool = False  # keys and values in 8 bits (GPUs)
    context: PositiveInt | None = None  # max_model_len; None: what the model was made for, to 4096
    tokens: PositiveInt | None = None  # of a usual request, prompt and answer; None: context
    concurrency: PositiveInt = 1  # requests at once that are expected, over all replicas
    replicas: PositiveInt | Literal["auto"] = "auto"  # auto: as many as concurrency needs
    device: Literal["auto", "gpu", "cpu"] | DeviceKind = "auto"
    engine: str | None = None  # None: vllm on GPUs, onnx or openvino by the CPU's vendor
    tensor_parallel_size: PositiveInt | None = None  # None: the narrowest that serves
    num_cpus: PositiveInt | None = None  # of one replica on CPUs; None: a socket's
    across_nodes: bool = False  # a replica's GPUs may be on several nodes
    labels: dict[str, str] = Field(default_factory=dict)  # nodes must carry these
    args: dict[str, Any] = Field(default_factory=dict)  # more of the application's arguments

    @field_validator("args")
    @classmethod
    def _known_arguments(cls, given: dict[str, Any]) -> dict[str, Any]:
        for name in given:
            if ALIASES.get(name, name) in PLANNED:
                raise ValueError(f"'{name}' is decided here: {PLANNED[ALIASES.get(name, name)]}")
        try:
            ApplicationArgs.model_validate({"model_name": "any", **given})
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            text = first["msg"].removeprefix("Value error, ")
            raise ValueError(f"{place}: {text}" if place else text) from error
        return given

    @property
    def route_prefix(self) -> str:
        """Where callers reach it."""
        return self.route or f"/{self.name}"


class ModelStore(Part):
    """Where the weights lie, the same on every node; for manifests only, no decision asks."""

    path: str = Field(default="/models", pattern=r"^/")  # in each pod
    nfs_server: str | None = None  # None: filled in by whoever applies the manifest
    nfs_path: str = "/models"
    size: ByteSize = ByteSize(2 * 10**12)


class Fleet(Part):
    """A whole file. Order counts: models named first are served first, and nodes added at the end
    never make a plan worse (see `planner`)."""

    nodes: tuple[Node, ...] = Field(min_length=1)
    models: tuple[Model, ...] = ()
    store: ModelStore = ModelStore()

    @model_validator(mode="after")
    def _distinct(self) -> Fleet:
        _each_once("node", [name for node in self.nodes for name in node.names()])
        _each_once("model", [model.name for model in self.models])
        _each_once("route", [model.route_prefix for model in self.models])
        if sum(node.head for node in self.nodes) > 1:
            raise ValueError("head: more than one node is the head; leave it at one")
        return self


def _each_once(what: str, names: list[str]) -> None:
    for name in sorted(set(names)):
        if names.count(name) > 1:
            raise ValueError(f"{what} '{name}' is there twice; give each its own")

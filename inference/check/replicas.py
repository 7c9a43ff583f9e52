"""What each replica of a Serve config takes of a node, in Ray's words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from inference.args import TargetDevice
from inference.check.applications import Application
from inference.check.document import Document, Path
from inference.check.look import mapping, quantity, sequence
from inference.check.ray_service import number
from inference.gpu_settings import wanted
from inference.names import given
from serving.gpu.placement import gpus_of_actor, place

AMOUNTS = {"num_cpus": "CPU", "num_gpus": "GPU", "memory": "memory"}
NUM_CPUS = 1  # of a replica that says nothing


@dataclass(frozen=True, slots=True)
class Part:
    """What has to be on one node: a replica, or a bundle of its placement group."""

    amounts: Mapping[str, float]
    selector: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Replicas:
    """The replicas of one deployment."""

    application: str
    path: Path  # of the deployment, or of the application where the config names none
    parts: tuple[Part, ...]  # of one replica
    least: int
    most: int  # more than `least` where Serve scales it
    target_device: TargetDevice | None

    def where(self, name: str, document: Document) -> Path:
        """What says how much of a resource they need, or how many they are (`num_replicas`)."""
        options, args = (*self.path, "ray_actor_options"), (*self.path[:2], "args")
        said = {
            "CPU": [(*options, "num_cpus"), (*self.path, "num_cpus"), (*args, "num_threads")],
            "GPU": [(*options, "num_gpus"), (*args, "gpu_count")],
            "memory": [(*options, "memory")],
            "label_selector": [(*options, "label_selector"), (*args, "label_selector")],
            "num_replicas": [(*self.path, "num_replicas"), (*self.path, "autoscaling_config")],
        }.get(name, [(*options, "resources", name)])
        return next((path for path in said if path in document.marks), self.path)

    @property
    def whole(self) -> Part:
        """The part that needs most."""
        return max(self.parts, key=lambda each: each.amounts.get("CPU", 0))


def replicas_of(application: Application) -> Iterator[Replicas]:
    """Of every deployment that the config names, or of the builder's one."""
    said = list(application.deployments())
    if not said and application.args is not None:
        said = [(application.path, {})]
    for path, deployment in said:
        least, most = _counts(deployment)
        parts = _parts(application, deployment)
        if parts:
            device = application.args.target_device if application.args else None
            yield Replicas(application.name, path, parts, least, most, device)


def _counts(deployment: Mapping[str, Any]) -> tuple[int, int]:
    """How few replicas and how many there will be."""
    scaling, said = deployment.get("autoscaling_config"), deployment.get("num_replicas")
    if isinstance(scaling, dict) or said == "auto":
        scaling = mapping(scaling)
        least, most = number(scaling.get("min_replicas")), number(scaling.get("max_replicas"))
        least = 1 if least is None else least
        return least, most or max(least, 1)
    replicas = number(said)
    return (1, 1) if replicas is None else (replicas, replicas)


def _parts(application: Application, deployment: Mapping[str, Any]) -> tuple[Part, ...]:
    """What one replica takes; empty where another's builder decides."""
    bundles = sequence(deployment.get("placement_group_bundles"))
    if bundles:
        return tuple(Part(_amounts_of(mapping(each)), {}) for each in bundles)
    if options := _meant(deployment):
        return (_replaced(application, options),)
    return _builders_own(application)


def _meant(deployment: Mapping[str, Any]) -> dict[str, Any]:
    """Its ray_actor_options, with those that stand beside them by mistake."""
    beside = {key: value for key, value in deployment.items() if key in AMOUNTS}
    return {**beside, **mapping(deployment.get("ray_actor_options"))}


def _replaced(application: Application, options: Mapping[str, Any]) -> Part:
    """The config's options, and the GPUs that a replica of ours takes all the same."""
    amounts = {
        AMOUNTS[key]: amount
        for key, value in options.items()
        if key in AMOUNTS and (amount := quantity(value)) is not None
    }
    amounts.setdefault("CPU", NUM_CPUS)
    args = application.args
    if args is not None and args.uses_vllm and not args.vllm_on_cpu and not amounts.get("GPU"):
        amounts["GPU"] = gpus_of_actor(wanted(args))
    selector = {key: str(value) for key, value in mapping(options.get("label_selector")).items()}
    return Part(amounts | _amounts_of(mapping(options.get("resources"))), selector)


def _builders_own(application: Application) -> tuple[Part, ...]:
    args = application.args
    if args is None:
        return ()
    if args.uses_vllm and not args.vllm_on_cpu:
        placement = place(wanted(args))
        selector = dict(args.label_selector or {})
        bundles = placement.placement_group.get("placement_group_bundles")
        if bundles:
            return tuple(Part(_amounts_of(each), selector) for each in bundles)
        return (_replaced(application, placement.ray_actor_options),)
    options = {"num_cpus": args.num_threads or NUM_CPUS}
    return (_replaced(application, options | given(label_selector=args.label_selector)),)


def _amounts_of(resources: Mapping[str, Any]) -> dict[str, float]:
    """Amounts of resources by name, without those that only name a product."""
    return {
        key: amount
        for key, value in resources.items()
        if (amount := quantity(value)) is not None and not key.startswith("accelerator_type:")
    }

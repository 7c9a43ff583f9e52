"""Whether the replicas of a RayService find room on its own pods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isinf

from inference.check.applications import applications
from inference.check.document import Document
from inference.check.finding import Finding
from inference.check.look import at, mapping, quantity
from inference.check.packing import Need, holds, place
from inference.check.ray_service import GPU_KEYS, Group, RayService
from inference.check.replicas import Part, Replicas, replicas_of
from inference.gpu_settings import wanted
from serving.cpu.node_choice import label_condition
from serving.gpu.gpu_arithmetic import idle_gpus

GIB = 2**30
RULES_OF = {"CPU": "cpu-fit", "GPU": "gpu-fit"}


@dataclass(frozen=True, slots=True)
class Lack:
    """What no pod has for a replica."""

    what: str  # a resource, or label_selector
    rule: str
    message: str
    fix: str


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod that replicas may be put on."""

    group: Group
    resources: Mapping[str, float]


def pods_of(service: RayService) -> list[Pod]:
    """Every pod there is, or may be where the autoscaler is on."""
    return [
        Pod(group, group.resources())
        for group in service.groups
        for _ in range(group.num_pods(autoscaling=service.autoscaling))
    ]


def check_fleet(service: RayService) -> Iterator[Finding]:
    """All rules about what replicas need and pods offer."""
    yield from _gpu_limits(service)
    serve = service.serve
    if serve is None:
        return
    pods = pods_of(service)
    everyone = [each for app in applications(serve) for each in replicas_of(app)]
    placeable = []
    for replicas in everyone:
        lacks = [_lack(part, replicas, pods) for part in replicas.parts]
        if lack := next(filter(None, lacks), None):
            where = replicas.where(lack.what, serve)
            yield serve.finding(lack.rule, where, lack.message, lack.fix)
        else:
            placeable.append(replicas)
            yield from _other_vendors(serve, replicas, pods)
    yield from _together(serve, placeable, pods)
    yield from _idle_gpus(service, serve)


def may_hold(part: Part, pod: Pod) -> bool:
    """Whether this pod's labels and resources are enough for it, alone."""
    return _labelled(part, pod) and holds(pod.resources, part.amounts)


def _labelled(part: Part, pod: Pod) -> bool:
    return all(
        label_condition(wanted)(pod.group.labels.get(label))
        for label, wanted in part.selector.items()
    )


def _meant(replicas: Replicas, pods: Sequence[Pod]) -> list[Pod]:
    """Without those that are kept on another vendor's CPUs, where any are left then."""
    device = replicas.target_device
    found = [pod for pod in pods if device is None or pod.group.vendor in {None, str(device)}]
    return found or list(pods)


def _lack(part: Part, replicas: Replicas, pods: Sequence[Pod]) -> Lack | None:
    """What no pod has for this, even empty."""
    labelled = [pod for pod in pods if _labelled(part, pod)]
    if not labelled:
        said = ", ".join(f"{key}: {value}" for key, value in part.selector.items())
        return Lack(
            "label_selector",
            "label-fit",
            f"{_whose(replicas)} may only be on nodes with {said}, and no group has such labels",
            f"set labels: {{{said}}} in the groups that are meant, or correct the selector",
        )
    candidates = labelled
    for name, amount in sorted(part.amounts.items(), key=lambda each: each[0] in RULES_OF):
        if name == "CPU":
            candidates = _meant(replicas, candidates)
        fitting = [pod for pod in candidates if holds(pod.resources, {name: amount})]
        if not fitting:
            return _missing(name, amount, replicas, candidates)
        candidates = fitting
    return None


def _missing(name: str, amount: float, replicas: Replicas, pods: Sequence[Pod]) -> Lack:
    most = max(pod.resources.get(name, 0) for pod in pods)
    message = (
        f"{_whose(replicas)} needs {_amount(name, amount)} of one node, and those that may hold it "
        f"have {_offers(name, pods)}"
    )
    match name:
        case "CPU":
            fix = f"write num_cpus: {most:g} or less"
        case "GPU":
            fix = f"write gpu_count: {most:g} or less" if most else "add a group with GPUs"
        case "memory":
            fix = f"write memory: {most:g} or less"
        case _:
            fix = f'set resources: {{{name}: "{amount:g}"}} in the groups that are meant'
    return Lack(name, RULES_OF.get(name, "resource-fit"), message, fix)


def _other_vendors(serve: Document, replicas: Replicas, pods: Sequence[Pod]) -> Iterator[Finding]:
    device = replicas.target_device
    others = {
        pod.group.name
        for pod in pods
        if device is not None
        and pod.group.vendor not in {None, str(device)}
        and may_hold(replicas.whole, pod)
    }
    if others:
        yield serve.finding(
            "cpu-vendor",
            replicas.where("CPU", serve),
            f"{_whose(replicas)} is meant for {device}, and nothing keeps it off "
            f"{', '.join(sorted(others))}",
            "give the groups that are meant resources or labels, and ask for them by resources or "
            "label_selector in ray_actor_options",
        )


def _together(
    serve: Document, everyone: Sequence[Replicas], pods: Sequence[Pod]
) -> Iterator[Finding]:
    """Whether all find room at once: as many as there will be at least, then at most."""
    left = _left_over(everyone, pods, [each.least for each in everyone])
    rule, counts = "fleet-fit", [each.least for each in everyone]
    if not any(left):
        rule, counts = "scaled-fit", [each.most for each in everyone]
        left = _left_over(everyone, pods, counts)
    for replicas, homeless, count in zip(everyone, left, counts, strict=True):
        if not homeless:
            continue
        meant = _meant(replicas, pods)
        scarce = "GPU" if replicas.whole.amounts.get("GPU") else "CPU"
        amount = replicas.whole.amounts.get(scarce, 0)
        yield serve.finding(
            rule,
            replicas.where("num_replicas", serve),
            f"{homeless} of {count} replicas of application {replicas.application} "
            f"{'finds' if homeless == 1 else 'find'} no room beside the others: each needs "
            f"{_amount(scarce, amount)}, and the pods that may hold one have "
            f"{_offers(scarce, meant)}",
            f"write num_replicas: {count - homeless}, or let each need less, or add pods"
            if count > homeless
            else "let each need less, or add pods",
        )


def _left_over(
    everyone: Sequence[Replicas], pods: Sequence[Pod], counts: Sequence[int]
) -> list[int]:
    """How many replicas of each find no room."""
    needs, owners = [], []
    for number, (replicas, count) in enumerate(zip(everyone, counts, strict=True)):
        meant = {id(pod) for pod in _meant(replicas, pods)}
        for part in replicas.parts:
            nodes = frozenset(
                index for index, pod in enumerate(pods) if id(pod) in meant and may_hold(part, pod)
            )
            needs += [Need(replicas.application, replicas.path, part.amounts, nodes)] * count
            owners += [(number, copy) for copy in range(count)]
    placed = place(needs, [pod.resources for pod in pods])
    homeless = {owner for owner, node in zip(owners, placed, strict=True) if node is None}
    return [sum(number == each for each, _ in homeless) for number in range(len(everyone))]


def _idle_gpus(service: RayService, serve: Document) -> Iterator[Finding]:
    """What is left over on nodes with GPUs where one model has them all."""
    users = [
        each
        for each in applications(serve)
        if each.args is not None and each.args.uses_vllm and not each.args.vllm_on_cpu
    ]
    if len(users) != 1 or users[0].args is None or wanted(users[0].args).spans_nodes:
        return
    asked = wanted(users[0].args)
    counts = {int(group.resources()["GPU"]) for group in service.groups if group.device}
    for count in sorted(counts):
        if count >= asked.num_gpus and (note := idle_gpus(asked, count)) is not None:
            why, _, fix = note.removeprefix("gpu_count: ").partition("; ")
            yield serve.finding("idle-gpus", (*users[0].path, "args", "gpu_count"), why, fix)


def _gpu_limits(service: RayService) -> Iterator[Finding]:
    for group in service.groups:
        resources = mapping(group.container.get("resources"))
        for key in GPU_KEYS:
            request, limit = (quantity(at(resources, each, key)) for each in ("requests", "limits"))
            if request is not None and request != limit:
                yield service.document.finding(
                    "gpu-limits",
                    (*group.container_path, "resources", "requests", key),
                    f"Kubernetes refuses a request of {request:g} GPUs where the limit is "
                    f"{'none' if limit is None else f'{limit:g}'}",
                    f"write limits: {{{key}: {request:g}}}, and leave it out of requests",
                )


def _whose(replicas: Replicas) -> str:
    return f"a replica of application {replicas.application}"


def _amount(name: str, amount: float) -> str:
    match name:
        case "CPU" | "GPU":
            return f"{amount:g} {name}{'' if amount == 1 else 's'}"
        case "memory":
            return f"{amount / GIB:.1f} GiB of memory"
        case _:
            return f"{amount:g} of the resource {name}"


def _offers(name: str, pods: Sequence[Pod]) -> str:
    """What each group's pods have of it, for a sentence."""
    found: dict[str, str] = {}
    for pod in pods:
        has, count = pod.resources.get(name, 0), sum(pod.group == each.group for each in pods)
        shown = (
            "all of its machine"
            if isinf(has)
            else f"{has / GIB:.1f}"
            if name == "memory"
            else f"{has:g}"
        )
        found[pod.group.name] = (
            f"{shown} ({pod.group.name}{f', {count} of them' if count > 1 else ''})"
        )
    return ", ".join(found.values()) or "none"

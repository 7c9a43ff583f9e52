"""Whether the images of a RayService hold what their pods are for; only ours are known."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from inference.app import choose_engine
from inference.check.applications import Application, applications
from inference.check.document import Path
from inference.check.finding import Finding
from inference.check.fleet import may_hold, pods_of
from inference.check.ray_service import RayService, containers
from inference.check.replicas import replicas_of

OURS = re.compile(r"(?:^|/)anynode-(?P<flavour>[a-z-]+)(?::(?P<tag>[^@]+))?(?:@.*)?$")
PLACEHOLDER = re.compile(r"<[^>]*>|\$\{[^}]*\}")
# What an image is for: the key of a device, or nothing where it has engines for CPUs only.
DEVICES = {
    "nvidia": "nvidia.com/gpu",
    "amd": "amd.com/gpu",
    "intel": None,
    "amd-cpu": None,
    "intel-ipex": None,
}
FLAVOURS = {device: flavour for flavour, device in DEVICES.items() if device is not None}
# Engines that not every image has.
ENGINE_IMAGES = {"openvino": {"intel"}, "ipex_llm": {"intel-ipex"}}


@dataclass(frozen=True, slots=True)
class Image:
    """One of our images, as a manifest names it."""

    flavour: str
    tag: str | None


def read_image(name: str) -> Image | None:
    """Which of ours it is; None for another's."""
    match = OURS.search(name)
    if match is None or match["flavour"] not in DEVICES:
        return None
    return Image(match["flavour"], match["tag"])


def check_images(service: RayService) -> Iterator[Finding]:
    """All rules about images."""
    yield from _placeholders(service)
    yield from _devices(service)
    yield from _tags(service)
    for application in applications(service.serve) if service.serve else ():
        yield from _engine(service, application)


def _placeholders(service: RayService) -> Iterator[Finding]:
    for group in service.groups:
        for path, container in containers(group):
            name = container.get("image")
            if isinstance(name, str) and (found := PLACEHOLDER.search(name)):
                yield service.document.finding(
                    "image-placeholder",
                    (*path, "image"),
                    f"{found[0]} is left to fill in",
                    "write the registry that the nodes pull images from",
                )


def _devices(service: RayService) -> Iterator[Finding]:
    for group in service.groups:
        image = read_image(str(group.container.get("image")))
        if image is None or DEVICES[image.flavour] == group.device:
            continue
        path = (*group.container_path, "image")
        if group.device is not None:
            yield service.document.finding(
                "image-device",
                path,
                f"anynode-{image.flavour} has no engine for {group.device}, which this group has",
                f"write anynode-{FLAVOURS[group.device]}",
            )
        elif not group.is_head:
            yield service.document.finding(
                "image-device",
                path,
                f"anynode-{image.flavour} is for {DEVICES[image.flavour]}, which this group lacks",
                "write anynode-intel or anynode-amd-cpu, or give the container the GPUs",
            )


def _tags(service: RayService) -> Iterator[Finding]:
    first: tuple[str | None, str] | None = None
    for group in service.groups:
        image = read_image(str(group.container.get("image")))
        if image is None:
            continue
        if first is None:
            first = image.tag, group.name
        elif image.tag != first[0]:
            yield service.document.finding(
                "image-tag",
                (*group.container_path, "image"),
                f"its tag is {image.tag} and that of {first[1]} is {first[0]}: Ray refuses nodes "
                "of another version",
                "give all images of the cluster one tag",
            )


def _engine(service: RayService, application: Application) -> Iterator[Finding]:
    """Groups that may get a replica whose image lacks its engine."""
    args = application.args
    if args is None or args.uses_vllm:
        return
    engine = choose_engine(args) if args.engine is None else args.engine
    having = ENGINE_IMAGES.get(engine, set())
    told = set[Path]()
    for replicas in replicas_of(application) if having else ():
        for pod in pods_of(service):
            image = read_image(str(pod.group.container.get("image")))
            path = (*pod.group.container_path, "image")
            if image is None or image.flavour in having or not may_hold(replicas.whole, pod):
                continue
            if path not in told:
                told.add(path)
                yield service.document.finding(
                    "image-engine",
                    path,
                    f"application {application.name} runs on {engine}, which anynode-"
                    f"{image.flavour} has not, and may be put here",
                    f"write anynode-{' or anynode-'.join(sorted(having))}, or keep it off this "
                    "group by resources or label_selector",
                )

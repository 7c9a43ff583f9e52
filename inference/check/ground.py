"""What a RayService stands on: volumes, claims, Secrets, and where secrets and models are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from inference.check.applications import applications
from inference.check.document import Document, Path
from inference.check.finding import Finding
from inference.check.look import at, mapping, sequence
from inference.check.ray_service import CLUSTER, Group, RayService, containers
from inference.check.secrets import is_secret
from serving.engine import nearest

CLAIM = "PersistentVolumeClaim"
KEYS = {"Secret": ("data", "stringData"), "ConfigMap": ("data", "binaryData")}
REDIS: Path = (*CLUSTER, "gcsFaultToleranceOptions", "redisPassword", "valueFrom")


def check_ground(service: RayService, beside: Sequence[Document]) -> Iterator[Finding]:
    """All rules about storage and secrets; `beside` are the other objects in the files given."""
    ground = _Ground(service.document, beside)
    for group in service.groups:
        yield from _volumes(service, group, ground)
        for path, container in containers(group):
            yield from _environment(service.document, path, container, ground)
    yield from ground.references(REDIS, at(service.document.data, *REDIS))
    yield from _model_paths(service)


class _Ground:
    """The objects that names may refer to."""

    def __init__(self, document: Document, beside: Sequence[Document]) -> None:
        self.document = document
        self.objects = beside

    def find(self, kind: str, name: str) -> Document | None:
        """The object of that kind and name in the same namespace."""
        namespace = at(self.document.data, "metadata", "namespace")
        for each in self.objects:
            own = at(each.data, "metadata", "namespace")
            near = own is None or namespace is None or own == namespace
            if near and each.kind == kind and at(each.data, "metadata", "name") == name:
                return each
        return None

    def missing(self, kind: str, name: Any, path: Path) -> Iterator[Finding]:
        """A finding where the files define no such object."""
        if not isinstance(name, str) or self.find(kind, name) is not None:
            return
        known = [
            str(at(each.data, "metadata", "name")) for each in self.objects if each.kind == kind
        ]
        hint = nearest(name, known) or (f" (there is {', '.join(known)})" if known else "")
        yield self.document.finding(
            "claim" if kind == CLAIM else "secret-name",
            path,
            f"none of the files given defines the {kind} {name}{hint}: pods wait for it",
            "make it before, or check its file together with this one",
        )

    def references(self, path: Path, source: Any) -> Iterator[Finding]:
        """Findings for `valueFrom`: the object and its key."""
        for kind, word in (("Secret", "secretKeyRef"), ("ConfigMap", "configMapKeyRef")):
            reference = mapping(at(source, word))
            if not reference or reference.get("optional") is True:
                continue
            here = (*path, word)
            yield from self.missing(kind, reference.get("name"), (*here, "name"))
            found = self.find(kind, str(reference.get("name")))
            keys = [key for part in KEYS[kind] for key in mapping(at(found and found.data, part))]
            if found is not None and keys and reference.get("key") not in keys:
                key = str(reference.get("key"))
                yield self.document.finding(
                    "secret-key",
                    (*here, "key"),
                    f"the {kind} {reference.get('name')} has no key {key}{nearest(key, keys)}: the "
                    "container cannot start",
                    f"write one of {', '.join(keys)}",
                )


def _volumes(service: RayService, group: Group, ground: _Ground) -> Iterator[Finding]:
    path, names = (*group.pod_path, "volumes"), list[str]()
    for index, each in enumerate(map(mapping, sequence(group.pod.get("volumes")))):
        names.append(str(each.get("name")))
        here = (*path, index)
        claim = at(each, "persistentVolumeClaim", "claimName")
        yield from ground.missing(CLAIM, claim, (*here, "persistentVolumeClaim", "claimName"))
        for kind, word, key in (
            ("Secret", "secret", "secretName"),
            ("ConfigMap", "configMap", "name"),
        ):
            if at(each, word, "optional") is not True:
                yield from ground.missing(kind, at(each, word, key), (*here, word, key))
    for container_path, container in containers(group):
        for index, mount in enumerate(sequence(container.get("volumeMounts"))):
            name = str(at(mount, "name"))
            if name not in names:
                yield service.document.finding(
                    "volume",
                    (*container_path, "volumeMounts", index, "name"),
                    f"the pod has no volume {name}{nearest(name, names)}, so Kubernetes refuses it",
                    "add it to the pod's volumes, or correct the name",
                )


def _environment(
    document: Document, path: Path, container: Mapping[str, Any], ground: _Ground
) -> Iterator[Finding]:
    for index, each in enumerate(map(mapping, sequence(container.get("env")))):
        here, name, value = (*path, "env", index), str(each.get("name")), each.get("value")
        yield from ground.references((*here, "valueFrom"), each.get("valueFrom"))
        if isinstance(value, str) and value and is_secret(name, value):
            yield document.finding(
                "secret",
                (*here, "value"),
                f"{name} is a secret, and everybody who may read the object reads it here",
                "take it from a Secret: valueFrom: {secretKeyRef: {name: …, key: …}}",
            )
    for index, each in enumerate(map(mapping, sequence(container.get("envFrom")))):
        here = (*path, "envFrom", index)
        for kind, word in (("Secret", "secretRef"), ("ConfigMap", "configMapRef")):
            reference = mapping(each.get(word))
            if reference.get("optional") is not True:
                yield from ground.missing(kind, reference.get("name"), (*here, word, "name"))


def _model_paths(service: RayService) -> Iterator[Finding]:
    """A folder outside of every volume exists in the image at most, which holds no models."""
    if service.serve is None:
        return
    mounts = [
        PurePosixPath(str(at(mount, "mountPath")))
        for group in service.groups
        for mount in sequence(group.container.get("volumeMounts"))
    ]
    for application in applications(service.serve):
        name = mapping(application.config.get("args")).get("model_name")
        if not application.is_ours or not isinstance(name, str) or not name.startswith("/"):
            continue
        if not any(PurePosixPath(name).is_relative_to(mount) for mount in mounts):
            there = ", ".join(sorted({str(mount) for mount in mounts})) or "none"
            yield service.serve.finding(
                "model-path",
                (*application.path, "args", "model_name"),
                f"no container mounts a volume at {name} or above (mounted: {there})",
                "mount the volume with the models there, or correct the path",
            )

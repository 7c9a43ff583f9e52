"""What changes in a RayService of 2023, beside its Serve config."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from inference.check.document import Path
from inference.check.kuberay_rules import EXCLUSIVE, survives_bash
from inference.check.look import at, mapping, quantity, sequence
from inference.check.network import SERVE, ports
from inference.check.ray_service import CLUSTER, Group, RayService, environment
from inference.migrate import edits
from inference.migrate.edits import CannotEdit
from inference.migrate.serve_steps import renamed_keys
from inference.migrate.step import Step

TOKEN = "HF_TOKEN"
SECRET = {"name": "huggingface", "key": "token"}  # where the token is, if nothing says otherwise
MAKE_SECRET = "kubectl create secret generic huggingface --from-literal=token=…"


def manifest_steps(service: RayService) -> Iterator[Step]:
    """Every change to a RayService, each as things are now."""
    yield from _api_version(service)
    yield from renamed_keys(service.document)
    yield from _ray_version(service)
    yield from _proxies(service)
    for group in service.groups:
        yield from _bounds(service, group)
        yield from _start_params(service, group)
        yield from _resources(service, group)
        yield from _serve_port(service, group)
    yield from _token(service)


def _api_version(service: RayService) -> Iterator[Step]:
    path: Path = ("apiVersion",)
    if service.document.data.get("apiVersion") == "ray.io/v1alpha1":
        yield _set(service, path, "ray.io/v1", "v1 now: KubeRay 1.9 will not know v1alpha1")


def _ray_version(service: RayService) -> Iterator[Step]:
    path = (*CLUSTER, "rayVersion")
    said = at(service.document.data, *path)
    try:
        ours = version("ray")
    except PackageNotFoundError:
        return
    if said is not None and str(said) != ours:
        yield _set(
            service,
            path,
            f'"{ours}"',
            f"{ours}, the Ray of anynode's images, which all of them must have",
        )


def _proxies(service: RayService) -> Iterator[Step]:
    """With HeadOnly KubeRay's check of workers asks a proxy that they do not have."""
    serve, path = service.serve, ("proxy_location",)
    unasked = [each for each in service.workers if "readinessProbe" not in each.container]
    if serve is not None and serve.data.get("proxy_location") == "HeadOnly" and unasked:
        said = "EveryNode: KubeRay finds a worker ready when its own proxy answers"
        every = partial(edits.set_value, document=serve, path=path, value="EveryNode")
        yield Step(serve, path, said, every)


def _bounds(service: RayService, group: Group) -> Iterator[Step]:
    replicas = group.spec.get("replicas")
    for key in ("minReplicas", "maxReplicas"):
        if not group.is_head and isinstance(replicas, int) and key not in group.spec:
            said = f"{key}, which must be there now"
            yield _add(service, group.path, key, replicas, said, after="replicas")


def _start_params(service: RayService, group: Group) -> Iterator[Step]:
    """Values of rayStartParams are texts."""
    for key, value in group.start_params.items():
        path = (*group.path, "rayStartParams", key)
        if isinstance(value, bool):
            yield _set(service, path, f'"{str(value).lower()}"', "a text, as all of these are")
        elif isinstance(value, int | float):
            yield _set(service, path, f'"{value}"', "a text, as all of these are")


def _resources(service: RayService, group: Group) -> Iterator[Step]:
    """Resources whose quotes bash takes away go to the group, if nothing there excludes them."""
    path, text = (*group.path, "rayStartParams", "resources"), group.start_params.get("resources")
    if not isinstance(text, str) or survives_bash(text) or (amounts := _amounts(text)) is None:
        return
    if "resources" in group.spec or sum(key in EXCLUSIVE for key in group.start_params) > 1:
        quoted = json.dumps(json.dumps(amounts))  # which escapes the inner quotes as bash wants
        said = "quoted once more: bash takes the outer quotes away"
        yield _set(service, path, f"'{quoted}'", said)
        return
    document, texts = service.document, {key: f"{value:g}" for key, value in amounts.items()}

    def edit(lines: Sequence[str]) -> list[str]:
        # The later lines first, so that the marks of the earlier still hold.
        added = edits.add_key(
            lines, document, group.path, "resources", texts, after="rayStartParams"
        )
        return edits.remove(added, document, path)

    said = "the group's own resources: bash would take the quotes away here"
    yield Step(document, path, said, edit)


def _amounts(text: str) -> Mapping[str, float] | None:
    """What the resources were meant to be; None for what is no mapping of amounts."""
    try:
        read = json.loads(text.strip().strip("'\"").replace('\\"', '"'))
    except json.JSONDecodeError:
        return None
    is_one = isinstance(read, dict) and all(quantity(each) is not None for each in read.values())
    return read if is_one else None


def _serve_port(service: RayService, group: Group) -> Iterator[Step]:
    """The port that Serve listens on is called serve, on the head and where it is not 8000."""
    named, port = ports(group.container), service.http_port
    if service.serve is None or not group.container or named.get(SERVE) == port:
        return
    if not group.is_head and named.get(SERVE, 8000) == port:
        return
    path = (*group.container_path, "ports")
    said = f"{port}, where Serve listens, is called serve: KubeRay goes by the name"
    for index, each in enumerate(map(mapping, sequence(group.container.get("ports")))):
        here = (*path, index)
        if each.get("name") == SERVE:
            yield _set(service, (*here, "containerPort"), str(port), said)
            return
        if each.get("containerPort") == port:
            if "name" in each:
                yield _set(service, (*here, "name"), SERVE, said)
            else:
                yield _add(service, here, "name", SERVE, said)
            return
    yield _append(service, path, {"name": SERVE, "containerPort": port}, said)


def _token(service: RayService) -> Iterator[Step]:
    """Tokens go from args into the environment, by reference to a Secret."""
    serve = service.serve
    if serve is None:
        return
    tokens = [path for path in serve.marks if path[-1] == "hf_token" and path[-2:-1] == ("args",)]
    if not tokens:
        return
    for group in service.groups:
        if group.container and _loads(group) and TOKEN not in environment(group.container):
            said = f"{TOKEN} from the Secret huggingface, to be made with: {MAKE_SECRET}"
            value = {"name": TOKEN, "valueFrom": {"secretKeyRef": dict(SECRET)}}
            yield _append(service, (*group.container_path, "env"), value, said)
            return  # the next group's after this one
    said = f"left out: a RayService shows it to everybody; {TOKEN} is taken from a Secret instead"
    for path in tokens:
        yield Step(serve, path, said, partial(edits.remove, document=serve, path=path))


def _loads(group: Group) -> bool:
    """Whether replicas may be put there."""
    return not group.is_head or group.resources()["CPU"] > 0


def _set(service: RayService, path: Path, value: str, said: str) -> Step:
    document = service.document
    return Step(
        document, path, said, partial(edits.set_value, document=document, path=path, value=value)
    )


def _add(
    service: RayService, path: Path, key: str, value: Any, said: str, *, after: str | None = None
) -> Step:
    document = service.document
    add = partial(edits.add_key, document=document, path=path, key=key, value=value, after=after)
    return Step(document, path, said, add)


def _append(service: RayService, path: Path, item: Any, said: str) -> Step:
    """One more item of a list, which is made where there is none."""
    document = service.document

    def edit(lines: Sequence[str]) -> list[str]:
        if path not in document.marks:
            return edits.add_key(lines, document, path[:-1], str(path[-1]), [item])
        if not at(document.data, *path):
            raise CannotEdit
        return edits.add_item(lines, document, path, item)

    return Step(document, path, said, edit)

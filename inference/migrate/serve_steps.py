"""What changes in a Serve config of 2023."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from functools import partial
from typing import Any

from inference.check import ray_schema
from inference.check.applications import Application, applications
from inference.check.document import Document, Path
from inference.check.keys import MISSPELT
from inference.check.look import at, mapping
from inference.check.old_names import successor
from inference.migrate import edits
from inference.migrate.step import Step

# Old names whose successors are not the same under another name: left to the author.
UNDECIDED = {"smoothing_factor"}
LOCATIONS = {
    "NoServer": "Disabled",
    "Disabled": "Disabled",
    "HeadOnly": "HeadOnly",
    "EveryNode": "EveryNode",
}
BESIDE_OPTIONS = ("num_cpus", "num_gpus", "memory", "resources", "accelerator_type")


def serve_steps(document: Document) -> Iterator[Step]:
    """Every change to a Serve config, each as things are now."""
    yield from _location(document)
    yield from renamed_keys(document)
    for application in applications(document):
        yield from _route(document, application)
        for path, _ in application.deployments():
            yield from _route_of_deployment(document, application, path)
            yield from _options_beside(document, path)
            yield from _own_resources(document, path)
            yield from _empty_options(document, path)
        if not document.root:
            yield from _token(document, application)


def renamed_keys(document: Document) -> Iterator[Step]:
    """Keys that have another name now, or none."""
    theirs = {each.path for each in applications(document) if not each.is_ours}
    for path in document.marks:
        old = successor(path)
        if old is None or str(path[-1]) in UNDECIDED:
            continue
        if path[2:3] == ("args",) and path[:2] in theirs:
            continue
        above = mapping(at(document.data, *path[:-1]))
        if old.name is None:
            said = f"left out: {old.why}"
            yield _step(document, path, said, edits.remove, document, path)
        elif old.name not in above and path[-2:-1] != ("spec",):
            said = f"called {old.name} now: {old.why}"
            yield _step(document, path, said, edits.rename, document, path, old.name)


def _location(document: Document) -> Iterator[Step]:
    """http_options.location became proxy_location at the top."""
    path: Path = ("http_options", "location")
    location = LOCATIONS.get(str(at(document.data, *path)))
    if location is None:
        return
    said = f"proxy_location: {location} at the top of the config now"
    if "proxy_location" in document.data:
        yield _step(document, path, said, edits.remove, document, path)
    elif at(document.data, *path) != location:
        said = f"called {location} now"
        yield _step(document, path, said, edits.set_value, document, path, location)
    else:
        move = partial(edits.move, document=document, path=path, into=(), name="proxy_location")
        yield Step(document, path, said, move)


def _route(document: Document, application: Application) -> Iterator[Step]:
    path = (*application.path, "route_prefix")
    route = application.config.get("route_prefix")
    if isinstance(route, str) and (right := f"/{route.strip('/')}") != route:
        said = f"{right}: a route begins with a slash, and ends without one"
        yield _step(document, path, said, edits.set_value, document, path, right)


def _route_of_deployment(
    document: Document, application: Application, path: Path
) -> Iterator[Step]:
    here = (*path, "route_prefix")
    if here not in document.marks:
        return
    if "route_prefix" in application.config:
        said = "left out: the application has a route of its own"
        yield _step(document, here, said, edits.remove, document, here)
    else:
        said = "a route is the application's now"
        yield _step(document, here, said, edits.move, document, here, application.path)


def _options_beside(document: Document, path: Path) -> Iterator[Step]:
    """What stands beside ray_actor_options and belongs below it."""
    into = (*path, "ray_actor_options")
    for key in BESIDE_OPTIONS:
        here = (*path, key)
        if here in document.marks and key not in mapping(at(document.data, *into)):
            said = "below ray_actor_options, where Ray reads it"
            yield _step(document, here, said, edits.move, document, here, into)


def _own_resources(document: Document, path: Path) -> Iterator[Step]:
    """Resources of the user's own among Ray's options."""
    options = (*path, "ray_actor_options")
    known = list(ray_schema.actor_options())
    for key, value in mapping(at(document.data, *options)).items():
        is_amount = isinstance(value, int | float) and not isinstance(value, bool)
        if key in known or not is_amount or get_close_matches(key, known, 1, MISSPELT):
            continue
        here, into = (*options, key), (*options, "resources")
        said = "below resources, where Ray reads it"
        yield _step(document, here, said, edits.move, document, here, into)


def _empty_options(document: Document, path: Path) -> Iterator[Step]:
    here = (*path, "ray_actor_options")
    if here in document.marks and at(document.data, *here) is None:
        said = "left out: it is empty, which Ray refuses"
        yield _step(document, here, said, edits.remove, document, here)


def _token(document: Document, application: Application) -> Iterator[Step]:
    """A token has no place in a file; where the manifest has it, the manifest's steps see to it."""
    here = (*application.path, "args", "hf_token")
    if here in document.marks:
        said = "left out: set HF_TOKEN in the environment of whoever runs this"
        yield _step(document, here, said, edits.remove, document, here)


def _step(document: Document, path: Path, said: str, edit: Any, *args: Any) -> Step:
    return Step(document, path, said, lambda lines: edit(lines, *args))

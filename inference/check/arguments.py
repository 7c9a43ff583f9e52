"""The `args` of an application, by the builder's own rules, each with its line."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from inference.app import cpu_settings
from inference.args import ALIASES, ApplicationArgs
from inference.check.applications import Application
from inference.check.document import Document, Path
from inference.check.finding import Finding
from inference.check.look import mapping
from inference.check.old_names import successor
from inference.check.secrets import is_placeholder
from inference.gpu_settings import gpu_settings, wanted
from serving.errors import ConfigError

SHOULD_BE = "Input should be "  # how pydantic begins


def check_arguments(document: Document, application: Application) -> Iterator[Finding]:
    """All rules about the arguments of one application of ours."""
    yield from _each(document, application)
    yield from _combination(document, application)
    yield from _notices(document, application)


def _each(document: Document, application: Application) -> Iterator[Finding]:
    """Each argument that the builder does not know, or whose value it refuses."""
    path = (*application.path, "args")
    args = mapping(application.config.get("args"))
    known = [*ApplicationArgs.model_fields, *ALIASES]
    for key, value in args.items():
        if key not in known:
            yield _unknown_argument(document, (*path, key), known)
        elif is_placeholder(value):
            yield document.finding(
                "placeholder", (*path, key), f"{value} is a placeholder", _filling(key)
            )
    read = {
        key: value
        for key, value in args.items()
        if key in known and not (key == "hf_token" and is_placeholder(value))
    }
    try:
        ApplicationArgs.model_validate(read)
    except ValidationError as error:
        for each in error.errors(include_url=False):
            yield _refused(document, path, each)


def _unknown_argument(document: Document, path: Path, known: list[str]) -> Finding:
    key = str(path[-1])
    old = successor(path)
    if old is not None and old.name is not None:
        return document.finding(
            "renamed-key", path, f"there is no argument {key} ({old.why})", f"call it {old.name}"
        )
    meant = get_close_matches(key, known, 1)
    fix = f"call it {meant[0]}" if meant else "leave it out"
    return document.finding("args", path, f"there is no argument {key}", fix)


def _refused(document: Document, path: Path, error: Any) -> Finding:
    """What pydantic finds wrong with one argument."""
    known, location = path, error["loc"]
    for part in location:
        if (*known, part) not in document.marks:
            break
        known = (*known, part)
    if error["type"] == "missing":
        name = ".".join(str(part) for part in location)
        return document.finding("args", known, f"{name} must be given", f"add {name}")
    reason = error["msg"].removeprefix("Value error, ")
    if reason.startswith(SHOULD_BE):
        fix = f"write {reason.removeprefix(SHOULD_BE).partition(', unable')[0]}"
        return document.finding("args", known, "the builder refuses its value", fix)
    why, _, fix = reason.partition("; ")
    return document.finding("args", known, why, fix or "correct it")


def _combination(document: Document, application: Application) -> Iterator[Finding]:
    """Arguments that contradict each other, by the builder's own words."""
    args = application.args
    if args is None:
        return
    try:
        if args.uses_vllm:
            gpu_settings(args)
            wanted(args)
        else:
            cpu_settings(args)
    except ConfigError as error:
        path = (*application.path, "args")
        if error.param and (*path, error.param) in document.marks:
            path = (*path, error.param)
        why, _, fix = error.message.partition("; ")
        yield document.finding("args", path, why, fix or "change one of them")


def _notices(document: Document, application: Application) -> Iterator[Finding]:
    for notice in application.args.notices() if application.args is not None else ():
        name, _, said = notice.partition(": ")
        if name == "hf_token":
            continue  # which a rule of its own says
        path = (*application.path, "args", name)
        yield document.finding("args-notice", path, said, f"leave {name} out")


def _filling(key: str) -> str:
    return "leave it out and set HF_TOKEN instead" if key == "hf_token" else "write what is meant"

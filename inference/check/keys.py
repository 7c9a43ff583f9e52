"""Unknown, misplaced, renamed and mistyped keys, by the closed schemas of Ray and KubeRay."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from inference.check import crd, ray_schema
from inference.check.document import Document, Path
from inference.check.finding import Finding
from inference.check.old_names import successor
from inference.check.wrong_value import closest, one_line, wrong_value

DROPPED = "it is dropped without a word"
UNSEARCHED = {"template", "metadata"}  # pods have their own words; no key of ours belongs there
MISSPELT = 0.8  # how alike a key and a misspelling of it are; amd_cpu is none of num_cpus


def doubled(document: Document) -> Iterator[Finding]:
    """Keys that stand twice in one mapping."""
    for path in document.doubled:
        yield document.finding(
            "duplicate-key",
            path,
            "this key stands twice, and only the last one counts",
            "keep one of them",
        )


def ray_keys(document: Document) -> Iterator[Finding]:
    """What Ray would drop or refuse in a Serve config."""
    found = list(_schema_findings(document, ray_schema.validator()))
    yield from found
    yield from old_keys(document)
    if any(each.rule == "value" for each in found):
        return  # Ray's own checks fall over values of another shape
    lines = {each.line for each in found}
    for location, reason in ray_schema.refusals(document.data):
        path = _known(document, location)
        if path != ("applications",) and document.line(path) not in lines:  # theirs are told better
            why, _, fix = one_line(reason).partition(". ")
            yield document.finding("value", path, f"Ray refuses it: {why}", fix or "correct it")


def kuberay_keys(document: Document) -> Iterator[Finding]:
    """What Kubernetes would drop or refuse in a RayService."""
    path = crd.find_crd()
    if path is None:
        yield document.finding(
            "crd-missing",
            (),
            "KubeRay's schema is not here, so the keys of the RayService itself are not checked",
            f"set {crd.VARIABLE} to ray.io_rayservices.yaml of KubeRay 1.7",
        )
    else:
        yield from _schema_findings(document, crd.validator(path))
    yield from old_keys(document)


def old_keys(document: Document) -> Iterator[Finding]:
    """Keys that are read still, but have a successor or no effect."""
    for path in document.marks:
        old = successor(path)
        if old is None or not old.still_read:
            continue
        if old.name is None:
            yield document.finding("dead-key", path, f"it does nothing: {old.why}", "leave it out")
        else:
            yield document.finding(
                "deprecated-key", path, f"this is an old name: {old.why}", f"call it {old.name}"
            )


def _schema_findings(document: Document, validator: Any) -> Iterator[Finding]:
    homes = _homes(validator.schema, validator.schema)
    for error in validator.iter_errors(document.data):
        yield from _explain(document, closest(error), homes)


def _explain(
    document: Document, error: Any, homes: Mapping[str, Sequence[Path]]
) -> Iterator[Finding]:
    path = tuple(error.absolute_path)
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        for key in error.instance:
            if key not in known:
                yield unknown_key(document, (*path, key), list(known), homes)
    elif error.validator == "required":
        known = error.schema.get("properties", {})
        unknown = [str(key) for key in error.instance if key not in known]
        for key in error.validator_value:
            if key not in error.instance and not get_close_matches(key, unknown, 1):
                yield document.finding(
                    "missing-key",
                    path,
                    f"there is no {key} in it, which must be there",
                    f"add {key}",
                )
    else:
        yield document.finding("value", path, *wrong_value(error))


def unknown_key(
    document: Document, path: Path, known: list[str], homes: Mapping[str, Sequence[Path]]
) -> Finding:
    """What to say of a key that does not belong where it is."""
    key = str(path[-1])
    old = successor(path)
    if old is not None:
        why = f"{key} is not read any more ({old.why}): {DROPPED}"
        fix = "leave it out" if old.name is None else f"call it {old.name}"
        return document.finding("renamed-key", path, why, fix)
    if home := _home(path, homes.get(key, ())):
        why = f"{key} is no key here: {DROPPED}"
        return document.finding("misplaced-key", path, why, f"put it under {home}")
    if path[-2:-1] == ("ray_actor_options",) and not get_close_matches(key, known, 1, MISSPELT):
        why = f"{key} is no option of Ray's, and a resource of your own is not read here: {DROPPED}"
        fix = "put it under ray_actor_options.resources"
        return document.finding("misplaced-key", path, why, fix)
    meant = get_close_matches(key, known, 1)
    fix = f"call it {meant[0]}" if meant else f"leave it out; known: {_some(known)}"
    return document.finding("unknown-key", path, f"there is no key {key}: {DROPPED}", fix)


def _home(path: Path, homes: Sequence[Path]) -> str | None:
    """Of the places where this key would be known, the one nearest to where it is."""
    here = tuple(part for part in path[:-1] if isinstance(part, str))

    def distance(home: Path) -> tuple[int, int]:
        common = 0
        for ours, theirs in zip(here, home, strict=False):
            if ours != theirs:
                break
            common += 1
        return len(here) + len(home) - 2 * common, len(home)

    if not homes:
        return None
    home = min(homes, key=distance)
    return ".".join(str(part) for part in home) or "the top of the config"


def _homes(schema: Any, whole: Any, above: Path = ()) -> dict[str, list[Path]]:
    """For every key of a schema, the mappings that know it; lists are seen through."""
    found: dict[str, list[Path]] = {}
    for part in _alternatives(schema, whole):
        for key, inner in part.get("properties", {}).items():
            found.setdefault(key, []).append(above)
            if key in UNSEARCHED or key in above:
                continue
            for name, homes in _homes(inner, whole, (*above, key)).items():
                found.setdefault(name, []).extend(homes)
    return found


def _alternatives(schema: Any, whole: Any) -> Iterator[Mapping[str, Any]]:
    """The objects that a schema stands for: through references, choices and lists."""
    if not isinstance(schema, dict):
        return
    if reference := schema.get("$ref"):
        schema = whole["$defs"][reference.rpartition("/")[2]]
    if "properties" in schema:
        yield schema
    for inner in (*schema.get("anyOf", ()), *schema.get("allOf", ()), schema.get("items")):
        yield from _alternatives(inner, whole)


def _some(known: list[str]) -> str:
    return ", ".join(known[:8]) + (", …" if len(known) > 8 else "")


def _known(document: Document, location: Sequence[Any]) -> Path:
    """The part of pydantic's location that is written in the file."""
    path: Path = ()
    for part in location:
        if (*path, part) not in document.marks:
            break
        path = (*path, part)
    return path

"""Refuses what Ray drops in silence: keys of a Serve config that its schema does not know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from serving.engine import nearest
from serving.errors import ConfigError

# Renamed by Ray; its schema would drop them and run with a default.
RENAMED = {"max_concurrent_queries": "max_ongoing_requests"}

ACTOR_OPTIONS = {"num_cpus", "num_gpus", "resources", "memory"}  # often put beside, not into, them

# Values under these keys are examples or data, not schemas.
NOT_SCHEMAS = {"default", "examples", "enum", "const"}


def check_serve_config(config: Any) -> None:
    """Raise ConfigError naming the first key Ray would not honour, and the nearest right one."""
    import jsonschema  # type: ignore[import-untyped]
    from ray.serve.schema import ServeDeploySchema

    schema = close(ServeDeploySchema.model_json_schema())
    errors = jsonschema.Draft202012Validator(schema).iter_errors(config)
    for error in sorted(
        errors, key=lambda each: (each.validator != "additionalProperties", -len(each.path))
    ):
        raise ConfigError(describe(error))


def close(schema: Any) -> Any:
    """The same JSON schema, with no object left open that lists its properties."""
    if isinstance(schema, list):
        return [close(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: each if key in NOT_SCHEMAS else close(each) for key, each in schema.items()}
    if isinstance(closed.get("properties"), dict):
        closed["additionalProperties"] = False
    return closed


def describe(error: Any) -> str:
    """One sentence for a jsonschema error: where, what, and the fix if there is an obvious one."""
    deepest = _deepest(error)
    place = ".".join(str(part) for part in deepest.absolute_path) or "the config"
    unknown = next(_unknown_keys(deepest), None)
    if unknown is None:
        return f"{place}: {deepest.message}"
    return f"{place}: {_advice(unknown, place, list(deepest.schema['properties']))}"


def _advice(unknown: str, place: str, known: list[str]) -> str:
    if unknown in RENAMED:
        return f"'{unknown}' is called '{RENAMED[unknown]}' now"
    if unknown in ACTOR_OPTIONS:
        return f"'{unknown}' belongs under ray_actor_options"
    hint = nearest(unknown, known)
    if place.endswith("ray_actor_options") and not hint:
        hint = "; a resource of your own belongs under resources"
    return f"there is no key '{unknown}'{hint}"


def _deepest(error: Any) -> Any:
    """Inside `anyOf`, the alternative that went furthest before it failed."""
    while error.context:
        error = max(error.context, key=lambda each: len(each.absolute_path))
    return error


def _unknown_keys(error: Any) -> Iterator[str]:
    if error.validator == "additionalProperties":
        yield from (key for key in error.instance if key not in error.schema["properties"])

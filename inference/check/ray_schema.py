"""Ray's own schema of a Serve config, made strict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from pydantic import ValidationError

from inference.check.closed_schema import close


@cache
def validator() -> Any:
    """A validator that refuses every key Ray would drop."""
    import jsonschema  # type: ignore[import-untyped]
    from ray.serve.schema import ServeDeploySchema

    return jsonschema.Draft202012Validator(close(ServeDeploySchema.model_json_schema()))


def actor_options() -> Mapping[str, Any]:
    """The keys of ray_actor_options, with their schemas."""
    options: Mapping[str, Any] = validator().schema["$defs"]["RayActorOptionsSchema"]["properties"]
    return options


def refusals(config: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What Ray itself refuses, by its own words: where, and why."""
    from ray.serve.schema import ServeDeploySchema

    try:
        ServeDeploySchema.model_validate(config)
    except ValidationError as error:
        for each in error.errors(include_url=False):
            if each["type"] == "missing":
                continue  # which the schema says too
            yield each["loc"], each["msg"].removeprefix("Value error, ")

"""JSON schemas that list their keys but let others pass, made to refuse them."""

from __future__ import annotations

from typing import Any

# Values under these keys are examples or data, not schemas.
NOT_SCHEMAS = {"default", "examples", "enum", "const"}
OPEN = "x-kubernetes-preserve-unknown-fields"


def close(schema: Any) -> Any:
    """The same schema, with no object left open that lists its properties."""
    if isinstance(schema, list):
        return [close(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: each if key in NOT_SCHEMAS else close(each) for key, each in schema.items()}
    if isinstance(closed.get("properties"), dict) and not closed.get(OPEN):
        closed.setdefault("additionalProperties", False)
        if closed["additionalProperties"] is True:
            closed["additionalProperties"] = False
    return closed

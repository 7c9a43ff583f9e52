"""Words for what jsonschema finds wrong with a value: what is there, and what may be."""

from __future__ import annotations

from typing import Any

PLAIN = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "a mapping",
    "array": "a list",
    "null": "nothing",
}
BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "more than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
}
QUANTITY = "numkMGTPE"  # stands in Kubernetes' pattern of quantities only
SHOWN = 40  # characters of a value


def closest(error: Any) -> Any:
    """Inside `anyOf`, the alternative that went furthest before it failed."""
    while error.context:
        deepest = max(error.context, key=lambda each: len(each.absolute_path))
        if len(deepest.absolute_path) == len(error.absolute_path):
            inside = [each for each in error.context if each.validator != "type"]
            if not inside:
                return error
            deepest = inside[0]
        error = deepest
    return error


def wrong_value(error: Any) -> tuple[str, str]:
    """What is wrong with a value, and what to write instead."""
    if error.instance is None:
        return "it is empty", f"write {_wanted(error)} below it, or leave the key out"
    return f"{_shown(error.instance)} is not accepted here", f"write {_wanted(error)}"


def one_line(text: str) -> str:
    """The text without its line breaks."""
    return " ".join(text.split())


def _wanted(error: Any) -> str:
    rule, value = error.validator, error.validator_value
    if rule in BOUNDS:
        return f"{BOUNDS[rule]} {value}"
    match rule:
        case "type":
            return _or([value] if isinstance(value, str) else value)
        case "anyOf":
            return _or([each["type"] for each in value if "type" in each]) or "another value"
        case "enum":
            return f"one of {', '.join(str(each) for each in value)}"
        case "pattern" if QUANTITY in value:
            return "a quantity such as 4, 500m, 16Gi or 300G"
        case _:
            return f"what fits: {one_line(error.message)[: 3 * SHOWN]}"


def _or(types: list[str]) -> str:
    return " or ".join(PLAIN[each] for each in types if each != "null")


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = one_line(str(value))
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"

"""Request bodies that leave nothing unsaid: each field is honoured or refused by name.

A body model lists the fields it honours as its own fields and, in `refused`, the fields it knows
but does not honour, with the values that ask for nothing (null always does). Everything else is
unknown, and the answer names the nearest known field.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from serving.engine import nearest
from serving.errors import InvalidRequest, UnsupportedField

Refused = Mapping[str, Collection[object]]
Body = TypeVar("Body", bound="StrictBody")


class StrictBody(BaseModel):
    """A JSON object with known fields only; types are not coerced."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    refused: ClassVar[Refused] = {}

    @model_validator(mode="before")
    @classmethod
    def _keep_what_counts(cls, given: Any) -> Any:
        """Drop what asks for nothing; complain about what cannot be honoured."""
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in given.items() if cls._counts(name, value)}

    @classmethod
    def _counts(cls, name: str, value: object) -> bool:
        if name in cls.model_fields:
            return value is not None
        if name not in cls.refused:
            hint = nearest(name, [*cls.model_fields, *cls.refused])
            raise PydanticCustomError(
                "unknown_field",
                "{problem}",
                {"field": name, "problem": f"this field is unknown{hint}"},
            )
        if asks_nothing(value, cls.refused[name]):
            return False
        raise PydanticCustomError(
            "unsupported_field",
            "{problem}",
            {"field": name, "problem": "this is not supported here; leave it out"},
        )

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Self:
        """The body as a model; InvalidRequest or UnsupportedField names the first wrong field."""
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise _as_invalid_request(error.errors(include_url=False)[0]) from error


def asks_nothing(value: object, neutral: Collection[object]) -> bool:
    """Whether `value` is null or one of the `neutral` ones."""
    # `1 == True` in Python, but not in JSON.
    return value is None or any(
        value == same and isinstance(value, bool) == isinstance(same, bool) for same in neutral
    )


def unsupported(problem: str) -> PydanticCustomError:
    """For validators: the field is known and its value is one we do not honour."""
    return PydanticCustomError("unsupported_field", "{problem}", {"problem": problem})


def _as_invalid_request(detail: ErrorDetails) -> InvalidRequest:
    context = detail.get("ctx", {})
    path = [*detail["loc"], *([context["field"]] if "field" in context else [])]
    param = ".".join(map(str, path)) or None
    message = _sentence(detail)
    kind = UnsupportedField if detail["type"] == "unsupported_field" else InvalidRequest
    return kind(f"{param}: {message}." if param else f"{message}.", param=param)


def _sentence(detail: ErrorDetails) -> str:
    """Pydantic's sentence, and what was given where that fits into a line."""
    message = detail["msg"].removeprefix("Value error, ").rstrip(".")
    if detail["type"] == "missing":
        return "this field is required"
    given = repr(detail["input"])
    if "problem" in detail.get("ctx", {}) or ", not " in message or len(given) > 60:
        return message
    return f"{message[0].lower()}{message[1:]}, not {given}"

"""What the files people write are made of: frozen models that refuse what they do not know."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from serving.engine import nearest


class Part(BaseModel):
    """A part of a file: unknown keys are refused, naming the nearest that exists."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, given: Any) -> Any:
        known = list(cls.model_fields)
        if isinstance(given, dict):
            for key in given:
                if key not in known:
                    raise ValueError(f"there is no key '{key}'{nearest(str(key), known)}")
        return given

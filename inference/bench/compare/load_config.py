"""What the `load` of a comparison may say: the same words as `anynode bench serve`'s options."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    field_validator,
    model_validator,
)

from inference.bench.plan import RouteName
from inference.bench.prompts.lengths import fixed, parse_length
from inference.part import Part
from serving.errors import ConfigError

DEFAULT_CONCURRENCY = 8
OF_PROMPTS = {"prompt_tokens", "prefix_tokens", "num_prefixes"}
OF_ANSWERS = {"output_tokens", "stream", "ignore_eos", "temperature", "top_p"}
Objective = Literal["ttft", "tpot", "itl", "e2el"]


def _listed(given: Any) -> Any:
    """`8`, `[1, 8]` or, from a command line, `1,8`."""
    if isinstance(given, str):
        return [part.strip() for part in given.split(",")]
    return [given] if isinstance(given, int | float) else given


def _by_point(given: Any) -> Any:
    """`64`, `{1: 8, 8: 32}` or, from a command line, `1:8,8:32`."""
    if isinstance(given, str) and ":" in given:
        return dict(part.split(":", 1) for part in given.replace(" ", "").split(","))
    return given


def _object(given: Any) -> Any:
    """A mapping or, from a command line, a JSON object."""
    if not isinstance(given, str):
        return given
    try:
        return json.loads(given)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON: {error}") from error


class LoadConfig(Part):
    """What every arm is asked, in the same words as `anynode bench serve`."""

    route: RouteName = "chat"
    stream: bool = True
    concurrency: Annotated[list[PositiveInt] | None, BeforeValidator(_listed)] = None
    request_rate: Annotated[list[PositiveFloat] | None, BeforeValidator(_listed)] = None
    num_requests: Annotated[
        PositiveInt | dict[PositiveFloat, PositiveInt], BeforeValidator(_by_point)
    ] = 64
    warmup_requests: NonNegativeInt = 2  # before each run; a server's first requests are slow
    prompt_tokens: str = "128"
    output_tokens: str = "128"
    prefix_tokens: NonNegativeInt = 0
    num_prefixes: PositiveInt = 1
    dataset: Path | None = None
    ignore_eos: bool = True  # the same work for all arms
    temperature: float | None = Field(default=0.0, ge=0)
    top_p: float | None = Field(default=None, ge=0, le=1)
    extra_body: Annotated[dict[str, Any], BeforeValidator(_object)] = Field(default_factory=dict)
    seed: int = 0
    tokenizer: str | None = None
    model: str | dict[str, str] | None = None  # one for all, or one for each arm
    timeout_s: PositiveFloat = 600.0
    slo: dict[Objective, PositiveFloat] = Field(default_factory=dict)  # in ms
    processes: PositiveInt = 1

    @field_validator("prompt_tokens", "output_tokens")
    @classmethod
    def _is_length(cls, given: str, info: ValidationInfo) -> str:
        try:
            parse_length(given, str(info.field_name))
        except ConfigError as error:
            raise ValueError(error.message.removeprefix(f"{info.field_name}: ")) from error
        return given

    @field_validator("concurrency", "request_rate")
    @classmethod
    def _each_once(cls, given: list[float] | None) -> list[float] | None:
        repeated = [each for each, count in Counter(given or []).items() if count > 1]
        if repeated:
            raise ValueError(f"{repeated[0]:g} is there twice; leave one out")
        if given == []:
            raise ValueError("it names no load; say at least one")
        return given

    @model_validator(mode="after")
    def _nothing_idle(self) -> LoadConfig:
        if self.dataset is not None:
            self._refuse(OF_PROMPTS, "the dataset brings its own")
            if (length := parse_length(self.output_tokens, "")) != fixed(length.shortest):
                raise ValueError("output_tokens: with a dataset it must be one number")
        elif not self.prefix_tokens:
            self._refuse({"num_prefixes"}, "it is for prefix_tokens")
        if self.route == "embeddings":
            self._refuse(OF_ANSWERS, "embeddings are not generated")
        return self

    def _refuse(self, idle: set[str], reason: str) -> None:
        if given := sorted(self.model_fields_set & idle):
            raise ValueError(f"{given[0]}: {reason}; leave it out")

    @model_validator(mode="after")
    def _fits(self) -> LoadConfig:
        if self.concurrency is not None and self.request_rate is not None:
            raise ValueError("concurrency and request_rate exclude each other; leave one out")
        points = self.request_rate or self.concurrency or [DEFAULT_CONCURRENCY]
        if isinstance(self.num_requests, dict) and set(self.num_requests) != set(points):
            asked = ", ".join(f"{point:g}" for point in points)
            raise ValueError(f"num_requests: it must name each load once: {asked}")
        return self

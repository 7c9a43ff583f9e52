"""What a comparison file may say, checked at the door; the command line fills the same model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from inference.bench.client.urls import address
from inference.bench.compare import yaml_file
from inference.bench.compare.arms import OWN_URL, PORT, READY_PATH, START_TIMEOUT_S, Arm
from inference.bench.compare.gates import NAME
from inference.bench.plan import RouteName
from inference.bench.prompts.lengths import parse_length
from serving.engine import nearest
from serving.errors import ConfigError

DEFAULT_CONCURRENCY = 8
Place = tuple[int | str, ...]  # where in the config an error is
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


class Part(BaseModel):
    """A part of the file: unknown keys are refused, naming the nearest that exists."""

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


class ArmConfig(Part):
    """One arm: a URL, or a command that answers at one."""

    url: str | None = None
    command: list[str] = []
    env: dict[str, str] = Field(default={}, repr=False)
    ready: str = Field(default=READY_PATH, pattern="^/")
    start_timeout_s: PositiveFloat = START_TIMEOUT_S
    per_round: bool = False

    @model_validator(mode="after")
    def _whole(self) -> ArmConfig:
        if not self.command:
            self._ready_already()
        elif self.url is None and not any(PORT in part for part in self.command):
            raise ValueError(f"the command says no {PORT}; put it there, or say the url")
        try:
            address((self.url or OWN_URL).replace(PORT, "1"), "chat")
        except ConfigError as error:
            raise ValueError(f"url: {error.message}") from error
        return self

    def _ready_already(self) -> None:
        if self.url is None:
            raise ValueError("it needs a url, or a command to start")
        if idle := sorted(self.model_fields_set - {"url", "command"}):
            raise ValueError(f"{idle[0]} is for arms with a command; leave it out")
        if PORT in self.url:
            raise ValueError(f"{PORT} in the url is for arms with a command")

    def arm(self, name: str) -> Arm:
        return Arm(
            name=name,
            url=self.url or OWN_URL,
            command=tuple(self.command),
            env=self.env,
            ready=self.ready,
            start_timeout_s=self.start_timeout_s,
            per_round=self.per_round,
        )


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
    extra_body: dict[str, Any] = {}
    seed: int = 0
    tokenizer: str | None = None
    model: str | dict[str, str] | None = None  # one for all, or one for each arm
    timeout_s: PositiveFloat = 600.0
    slo: dict[Objective, PositiveFloat] = {}  # in ms
    processes: PositiveInt = 1

    @field_validator("prompt_tokens", "output_tokens")
    @classmethod
    def _is_length(cls, given: str, info: Any) -> str:
        try:
            parse_length(given, info.field_name)
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
    def _fits(self) -> LoadConfig:
        if self.concurrency is not None and self.request_rate is not None:
            raise ValueError("concurrency and request_rate exclude each other; leave one out")
        if self.dataset is not None and self.prefix_tokens:
            raise ValueError("prefix_tokens: prompts of a dataset have heads of their own")
        points = self.request_rate or self.concurrency or [DEFAULT_CONCURRENCY]
        if isinstance(self.num_requests, dict) and set(self.num_requests) != set(points):
            asked = ", ".join(f"{point:g}" for point in points)
            raise ValueError(f"num_requests: it must name each load once: {asked}")
        return self


class ComparisonConfig(Part):
    """Everything a comparison is told."""

    arms: dict[str, ArmConfig]
    baseline: str | None = None
    rounds: PositiveInt = 5
    warmup_rounds: NonNegativeInt = 1
    exclusive: bool = False  # an arm of ours runs only while it is asked
    load: LoadConfig = LoadConfig()
    gates: list[str] = []
    must_match: list[Literal["answers", "versions"]] = []

    @model_validator(mode="after")
    def _names(self) -> ComparisonConfig:
        for name in self.arms:
            if not re.fullmatch(NAME, name):
                raise ValueError(f"arms: '{name}' is no name; use letters, digits, '_', '-', '.'")
        if len(self.arms) < 2:
            raise ValueError("arms: a comparison needs two at least")
        known = list(self.arms)
        if self.baseline is not None and self.baseline not in known:
            raise ValueError(f"baseline: no arm is called '{self.baseline}'{_of(known)}")
        if "answers" in self.must_match and self.load.temperature != 0:
            raise ValueError("must_match: answers are only alike at load.temperature 0")
        if isinstance(self.load.model, dict) and (
            wrong := sorted(set(self.load.model) ^ set(known))
        ):
            raise ValueError(f"load.model: it must name each arm once; look at '{wrong[0]}'")
        return self

    def base(self) -> str:
        """The arm that the others are held against."""
        return self.baseline or next(iter(self.arms))


def _of(known: list[str]) -> str:
    return f"; there are {', '.join(known)}"


def from_file(path: Path) -> ComparisonConfig:
    """Raises ConfigError naming the file, the field and the fix."""
    content = yaml_file.read(path)
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: it must be a mapping with arms, load and gates")
    return checked(content, lambda place: ": ".join(filter(None, (str(path), dotted(place)))))


def checked(content: Any, name: Callable[[Place], str]) -> ComparisonConfig:
    """`name` says a place as its writer knows it. Raises ConfigError for the first thing wrong."""
    try:
        return ComparisonConfig.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        reason = first["msg"].removeprefix("Value error, ")
        where = name(first["loc"])
        raise ConfigError(f"{where}: {reason}" if where else reason) from error


def dotted(place: Place) -> str:
    """`load.concurrency.0`."""
    return ".".join(str(part) for part in place)

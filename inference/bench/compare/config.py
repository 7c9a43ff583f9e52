"""What a comparison file may say, checked at the door; the command line fills the same model.

Its `load` is in `load_config`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import (
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_serializer,
    model_validator,
)

from inference.bench.client.urls import address
from inference.bench.compare import schedule, yaml_file
from inference.bench.compare.arms import OWN_URL, PORT, READY_PATH, START_TIMEOUT_S, Arm
from inference.bench.compare.gates import NAME
from inference.bench.compare.load_config import LoadConfig
from inference.bench.compare.parity import MayDiffer
from inference.bench.compare.schedule import Turn
from inference.part import Part
from serving.errors import ConfigError


class ArmConfig(Part):
    """One arm: a URL, or a command that answers at one."""

    url: str | None = None
    command: tuple[str, ...] = ()
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

    @field_serializer("env")
    def _without_values(self, env: dict[str, str]) -> list[str]:
        """A report is published; a value may be a key."""
        return sorted(env)

    def arm(self, name: str) -> Arm:
        return Arm(
            name=name,
            url=self.url or OWN_URL,
            command=self.command,
            env=self.env,
            ready=self.ready,
            start_timeout_s=self.start_timeout_s,
            per_round=self.per_round,
        )


class ComparisonConfig(Part):
    """Everything a comparison is told."""

    arms: dict[str, ArmConfig]
    baseline: str | None = None
    rounds: PositiveInt = 5
    warmup_rounds: NonNegativeInt = 1
    exclusive: bool = False  # an arm of ours runs only while it is asked
    pause_idle: bool = False  # it stays in memory, but stands still while others are asked
    load: LoadConfig = LoadConfig()
    gates: tuple[str, ...] = ()
    must_match: tuple[MayDiffer, ...] = ()

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
        if self.exclusive and self.pause_idle:
            raise ValueError("exclusive and pause_idle exclude each other; leave one out")
        if MayDiffer.ANSWERS in self.must_match and self.load.temperature != 0:
            raise ValueError("must_match: answers are only alike at load.temperature 0")
        if isinstance(self.load.model, dict) and (
            wrong := sorted(set(self.load.model) ^ set(known))
        ):
            raise ValueError(f"load.model: it must name each arm once; look at '{wrong[0]}'")
        return self

    def base(self) -> str:
        """The arm that the others are held against."""
        return self.baseline or next(iter(self.arms))

    def published(self) -> dict[str, Any]:
        """For reports: every setting in force, and of each arm what was said of it."""
        arms = {
            name: arm.model_dump(mode="json", exclude_unset=True) for name, arm in self.arms.items()
        }
        return {**self.model_dump(mode="json", exclude_none=True), "arms": arms}

    def turns(self, points: int) -> Iterator[Turn]:
        """For so many loads."""
        return schedule.turns(
            list(self.arms),
            points=points,
            rounds=self.rounds,
            warmup_rounds=self.warmup_rounds,
            exclusive=self.exclusive,
        )


def _of(known: list[str]) -> str:
    return f"; there are {', '.join(known)}"


def from_file(path: Path) -> ComparisonConfig:
    """Raises ConfigError naming the file, the field and the fix."""
    content = yaml_file.read(path, "FILE")
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: it must be a mapping with arms, load and gates")
    return checked(content, lambda place: ": ".join([str(path), *filter(None, [place])]))


def checked(content: dict[str, Any], name: Callable[[str], str]) -> ComparisonConfig:
    """`name` says a place, such as `load.seed`, as its writer knows it.

    Raises ConfigError for the first thing that is wrong.
    """
    try:
        return ComparisonConfig.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        reason = first["msg"].removeprefix("Value error, ")
        where = name(".".join(_written(first["loc"], content)))
        raise ConfigError(f"{where}: {reason}" if where else reason) from error


def _written(place: Iterable[int | str], content: Any) -> Iterator[str]:
    """As much of pydantic's place as people wrote: it goes on into the kinds of a union."""
    for part in place:
        if not isinstance(content, dict | list):
            return
        steps = content if isinstance(content, dict) else dict(enumerate(content))
        if part not in steps:
            return
        content = steps[part]
        yield str(part)

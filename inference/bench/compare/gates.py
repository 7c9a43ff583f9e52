"""Gates: one line each of what must hold, read and held against the arms there are. Pure.

ours/bare output_tokens_per_s >= 0.97      a ratio, at every load
ours - bare ttft_p50_ms <= 3 @ 8           a difference, at concurrency 8
ours error_rate <= 0.01                    an arm by itself
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import ge, gt, le, lt
from pathlib import Path
from typing import Literal

from inference.bench.compare import metrics
from inference.bench.text_file import read_text
from serving.engine import nearest
from serving.errors import ConfigError

NAME = r"\w[\w.-]*"
OPERATORS: dict[str, Callable[[float, float], bool]] = {"<=": le, ">=": ge, "<": lt, ">": gt}
FORM = "ARM/BASELINE METRIC >= NUMBER, ARM - BASELINE METRIC <= NUMBER or ARM METRIC <= NUMBER"

_LINE = re.compile(
    rf"(?P<arm>{NAME})"
    rf"(?:\s*(?P<sign>/|\s-\s)\s*(?P<baseline>{NAME}))?"
    r"\s+(?P<metric>\w+)\s*(?P<operator><=|>=|<|>)\s*(?P<bound>\S+?)"
    r"(?:\s*@\s*(?P<point>.+))?"
)

Relation = Literal["ratio", "difference", "itself"]
RELATIONS: dict[str, Relation] = {"": "itself", "/": "ratio", "-": "difference"}


@dataclass(frozen=True, slots=True)
class Measure:
    """What is measured of an arm, by itself or against another."""

    arm: str
    metric: str
    baseline: str = ""
    relation: Relation = "itself"


@dataclass(frozen=True, slots=True)
class Gate:
    """One line; without a point it is meant for every load."""

    text: str
    measure: Measure
    operator: str
    bound: float
    point: str | None
    source: str  # where the line stands, for errors

    def holds(self, value: float) -> bool:
        return OPERATORS[self.operator](value, self.bound)

    def meant_for(self, point: str) -> bool:
        """`@ 8` is `concurrency 8`, or `8 requests/s`."""
        return self.point in {None, point, *re.findall(r"\d[\d.]*", point)}


def parse(line: str, source: str) -> Gate | None:
    """None for a line that is empty or only a comment. Raises ConfigError naming `source`."""
    text = line.partition("#")[0].strip()
    if not text:
        return None
    found = _LINE.fullmatch(text)
    if found is None:
        raise ConfigError(f"{source}: '{text}' is no gate; write {FORM}, and @ LOAD for one load")
    try:
        metric = metrics.canonical(found["metric"])
    except ConfigError as error:
        raise ConfigError(f"{source}: {error.message}") from error
    relation = RELATIONS[(found["sign"] or "").strip()]
    return Gate(
        text=text,
        measure=Measure(found["arm"], metric, found["baseline"] or "", relation),
        operator=found["operator"],
        bound=_number(found["bound"], source),
        point=found["point"],
        source=source,
    )


def _number(text: str, source: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not -float("inf") < number < float("inf"):
        raise ConfigError(f"{source}: '{text}' is no number to hold a metric against")
    return number


def from_lines(lines: Iterable[str], source: Callable[[int], str]) -> list[Gate]:
    """`source` names a line by its number, from 1."""
    found = [parse(line, source(number)) for number, line in enumerate(lines, 1)]
    return [gate for gate in found if gate is not None]


def from_file(path: Path) -> list[Gate]:
    """One gate a line; `#` begins a comment. Raises ConfigError with file and line."""
    lines = read_text(path, "--gates").splitlines()
    return from_lines(lines, lambda number: f"{path}:{number}")


def check(
    gates: Iterable[Gate], *, arms: Sequence[str], points: Sequence[str], slo: bool = True
) -> None:
    """Raises ConfigError for a gate about what the comparison does not have."""
    for gate in gates:
        measure = gate.measure
        for arm in filter(None, (measure.arm, measure.baseline)):
            if arm not in arms:
                known = nearest(arm, list(arms)) or f"; there are {', '.join(arms)}"
                raise ConfigError(f"{gate.source}: no arm is called '{arm}'{known}")
        if measure.arm == measure.baseline:
            raise ConfigError(f"{gate.source}: '{measure.arm}' is held against itself")
        if not any(gate.meant_for(point) for point in points):
            known = ", ".join(points)
            raise ConfigError(f"{gate.source}: no load is called '{gate.point}'; there are {known}")
        if measure.metric in metrics.GOODPUT and not slo:
            raise ConfigError(f"{gate.source}: goodput needs an objective; add one as slo")

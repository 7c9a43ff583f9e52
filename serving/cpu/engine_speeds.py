"""How fast each engine runs a model on a machine, as measured; the file lies beside the model.

`anynode bench engines` writes it, `engine: auto` goes by it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from serving.errors import ConfigError

SPEEDS_FILE = "anynode-engines.json"


@dataclass(frozen=True, slots=True)
class EngineSpeed:
    """One engine with weights of one type."""

    engine: str
    data_type: str
    tokens_per_s: Mapping[int, float]  # of all answers together, by requests at once


@dataclass(frozen=True, slots=True)
class EngineSpeeds:
    """What was measured on one machine, in one run."""

    processor: str  # its model, as /proc/cpuinfo says it
    num_threads: int
    measured_at: str  # ISO 8601
    speeds: tuple[EngineSpeed, ...]

    def fastest(self, concurrency: int, usable: Callable[[str], bool]) -> EngineSpeed | None:
        """Of the engines that can be used, at the measured concurrency nearest to this one."""
        candidates = [each for each in self.speeds if each.tokens_per_s and usable(each.engine)]
        return max(candidates, key=lambda each: _at(each, concurrency), default=None)

    def describe(self, speed: EngineSpeed, concurrency: int) -> str:
        """Why it is the one, in figures."""
        nearest = _nearest(speed, concurrency)
        return (
            f"{_at(speed, concurrency):.0f} tokens/s at {nearest} requests at once, the most of "
            f"{len(self.speeds)} measured on {self.processor} with {self.num_threads} threads"
        )


def _nearest(speed: EngineSpeed, concurrency: int) -> int:
    return min(speed.tokens_per_s, key=lambda each: abs(each - concurrency))


def _at(speed: EngineSpeed, concurrency: int) -> float:
    return speed.tokens_per_s[_nearest(speed, concurrency)]


def write_speeds(folder: Path, speeds: EngineSpeeds) -> Path:
    """Beside the model's files; returns where."""
    path = folder / SPEEDS_FILE
    path.write_text(json.dumps(asdict(speeds), indent=2) + "\n", encoding="utf-8")
    return path


def read_speeds(folder: Path) -> EngineSpeeds | None:
    """None where nothing was measured; raises ConfigError for a file that says something else."""
    path = folder / SPEEDS_FILE
    if not path.is_file():
        return None
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return EngineSpeeds(**{**said, "speeds": tuple(map(_speed, said["speeds"]))})
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(
            f"engine: {path} is not what `anynode bench engines` writes ({error}); delete it or "
            "measure again",
            param="engine",
        ) from error


def _speed(said: dict[str, Any]) -> EngineSpeed:
    by_concurrency = {int(each): float(value) for each, value in said["tokens_per_s"].items()}
    return EngineSpeed(said["engine"], said["data_type"], by_concurrency)

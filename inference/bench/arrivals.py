"""When the requests of an open loop are due. Pure: the same arrivals on every call and machine."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from inference.bench.plan import ArrivalKind, Arrivals
from serving.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Constant:
    """One request every 1 / rate seconds."""

    request_rate: float
    kind: ArrivalKind = "constant"

    def offsets_s(self) -> Iterator[float]:
        return (number / self.request_rate for number in itertools.count())


@dataclass(frozen=True, slots=True)
class Poisson:
    """Gaps are exponential: independent callers, as queueing theory and `vllm bench serve` have."""

    request_rate: float
    seed: int = 0
    kind: ArrivalKind = "poisson"

    def offsets_s(self) -> Iterator[float]:
        chance = random.Random(self.seed)
        gaps_s = (chance.expovariate(self.request_rate) for _ in itertools.count())
        return itertools.accumulate(gaps_s, initial=0.0)


@dataclass(frozen=True, slots=True)
class Burst:
    """`size` requests together, as often as the rate says on average."""

    request_rate: float
    size: int
    kind: ArrivalKind = "burst"

    def offsets_s(self) -> Iterator[float]:
        bursts = (number * self.size / self.request_rate for number in itertools.count())
        return itertools.chain.from_iterable(itertools.repeat(at_s, self.size) for at_s in bursts)


@dataclass(frozen=True, slots=True)
class Replay:
    """The times of a trace, `speed` times as fast."""

    recorded_s: tuple[float, ...]  # from 0, never falling
    speed: float = 1.0
    kind: ArrivalKind = "trace"

    @property
    def request_rate(self) -> float:
        """On average, from the first request to the last; of requests at one time their number."""
        lasts_s = self.recorded_s[-1] / self.speed
        return (len(self.recorded_s) - 1) / lasts_s if lasts_s else float(len(self.recorded_s))

    def offsets_s(self) -> Iterator[float]:
        return (at_s / self.speed for at_s in self.recorded_s)


def arrivals(
    kind: Literal["constant", "poisson", "burst"],
    request_rate: float,
    *,
    seed: int = 0,
    burst_size: int = 1,
) -> Arrivals:
    """Raises ConfigError for a rate or a size that is none."""
    if not 0 < request_rate < math.inf:
        raise ConfigError(f"--request-rate: {request_rate:g} is no rate; give requests per second")
    if burst_size < 1:
        raise ConfigError(f"--burst-size: {burst_size} is too few; give 1 or more")
    match kind:
        case "constant":
            return Constant(request_rate)
        case "poisson":
            return Poisson(request_rate, seed)
        case "burst":
            return Burst(request_rate, burst_size)

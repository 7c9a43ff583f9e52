"""Who hears vLLM's statistics of every step: our /metrics, Ray's registry, and the streams' pace.

A step is a token or more, so what is done here for each is paid per token.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from serving.gpu.vllm_adapter import find

STAT_LOGGERS = ("vllm.v1.metrics.loggers",)
RAY_METRICS = ("vllm.v1.metrics.ray_wrappers",)
TOKEN_GAPS = "inter_token_latencies_iter"  # in the statistics of one step
# Ray took 30 us for each observation, and its agent 4 us of CPU more. They are in our /metrics.
OF_EVERY_STEP = frozenset({"vllm:inter_token_latency_seconds", "vllm:iteration_tokens_total"})
TELL_RAY_S = 1.0  # Ray's agent collects far less often


class HeldValues:
    """What metrics of Ray's are to be told: the latest of each gauge, the sum of each counter.

    One call of Ray's costs as much as a whole step's bookkeeping of Prometheus's.
    """

    def __init__(self) -> None:
        self._latest: dict[Callable[[float], None], float] = {}
        self._sums: dict[Callable[[float], None], float] = defaultdict(float)
        self._timer: asyncio.TimerHandle | None = None

    def set(self, tell: Callable[[float], None], value: float) -> None:
        """`tell` hears `value` soon, unless a later one takes its place."""
        self._latest[tell] = value
        self._tell_soon()

    def add(self, tell: Callable[[float], None], value: float) -> None:
        """`tell` hears soon of `value` and what else is added until then."""
        self._sums[tell] += value
        self._tell_soon()

    def _tell_soon(self) -> None:
        if self._timer is None:
            with suppress(RuntimeError):  # no loop while vLLM starts; its first step will tell
                self._timer = asyncio.get_running_loop().call_later(TELL_RAY_S, self.tell)

    def tell(self) -> None:
        """Tell all that is held."""
        self._timer = None
        held = [*self._latest.items(), *self._sums.items()]
        self._latest.clear()
        self._sums.clear()
        for tell, value in held:
            tell(value)


class RememberedLabels:
    """A metric that makes its children once: vLLM asks for some of them in every step, and what is
    held for a child is found again by it.
    """

    def labels(self, *names: str, **named: str) -> Any:
        """The child with these labels."""
        made = self.__dict__.setdefault("_made", {})
        key = (names, *named.items())
        if key not in made:
            made[key] = super().labels(*names, **named)  # type: ignore[misc]
        return made[key]


def stat_loggers_in_ray() -> list[Any]:
    """vLLM's metrics at our own /metrics, and through Ray's registry as `ray_vllm_…`.

    Both are named, because vLLM leaves its own out when it is given Ray's.
    """
    return [find("PrometheusStatLogger", STAT_LOGGERS), _logger_to_ray(HeldValues())]


def _logger_to_ray(held: HeldValues) -> Any:
    """vLLM's own logger to Ray, which tells it of gauges and counters once a second only, and of
    what every step would observe never.
    """

    class Gauge(RememberedLabels, find("RayGaugeWrapper", RAY_METRICS)):  # type: ignore[misc]
        def set(self, value: float) -> None:
            held.set(super().set, value)

    class Counter(RememberedLabels, find("RayCounterWrapper", RAY_METRICS)):  # type: ignore[misc]
        def inc(self, value: float = 1) -> None:
            if value:
                held.add(super().inc, value)

    class Histogram(find("RayHistogramWrapper", RAY_METRICS)):  # type: ignore[misc]
        def __init__(self, name: str, *rest: Any, **more: Any) -> None:
            super().__init__(name, *rest, **more)
            self._is_left_out = name in OF_EVERY_STEP

        def observe(self, value: float) -> None:
            if not self._is_left_out:
                super().observe(value)

    class LoggerToRay(find("RayPrometheusStatLogger", RAY_METRICS)):  # type: ignore[misc]
        _gauge_cls = Gauge
        _counter_cls = Counter
        _histogram_cls = Histogram

    return LoggerToRay


def token_gaps_to(hear: Callable[[Sequence[float]], None]) -> Any:
    """What makes a stat logger of vLLM's that tells `hear` how long ago each stream's last token
    was, in seconds, step by step.
    """

    class TokenGaps(find("StatLoggerBase", STAT_LOGGERS)):  # type: ignore[misc]
        def __init__(self, *_: Any, **__: Any) -> None: ...

        def record(self, scheduler_stats: Any, iteration_stats: Any, *_: Any, **__: Any) -> None:
            hear(getattr(iteration_stats, TOKEN_GAPS, ()))

        def log_engine_initialized(self) -> None: ...

    return TokenGaps

"""serving.gpu.vllm_stat_loggers: few calls of Ray's for many of vLLM's."""

from __future__ import annotations

import asyncio
import copy
import sys
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest

from serving.gpu import vllm_stat_loggers
from serving.gpu.vllm_stat_loggers import HeldValues, stat_loggers_in_ray, token_gaps_to


class RayMetric:
    """As vLLM's wrappers of Ray's metrics: children by label, one call for each value."""

    told: ClassVar[list[tuple[str, tuple[str, ...], float]]] = []

    def __init__(self, name: str) -> None:
        self.name, self.names = name, ()

    def labels(self, *names: str) -> Any:
        child = copy.copy(self)
        child.names = names
        return child

    def tell(self, value: float = 1.0) -> None:
        self.told.append((self.name, self.names, value))

    set = inc = observe = tell


class RayLogger:
    """As vLLM's logger to Ray: its metrics are of the classes it names."""

    def __init__(self) -> None:
        self.running = self._gauge_cls("running").labels("m")
        self.made = self._counter_cls("made").labels("m")
        self.by_source = self._counter_cls("by source")
        self.first = self._histogram_cls("vllm:time_to_first_token_seconds").labels("m")
        self.gaps = self._histogram_cls("vllm:inter_token_latency_seconds").labels("m")

    def record(self, running: int, made: int) -> None:
        self.running.set(running)
        self.made.inc(made)
        self.by_source.labels("m", "device").inc(made)
        self.gaps.observe(0.1)


@pytest.fixture
def logger(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What makes the logger to Ray, around those two."""
    for name, content in {
        "vllm.v1.metrics.loggers": {"PrometheusStatLogger": object, "StatLoggerBase": object},
        "vllm.v1.metrics.ray_wrappers": {
            "RayGaugeWrapper": RayMetric,
            "RayCounterWrapper": RayMetric,
            "RayHistogramWrapper": RayMetric,
            "RayPrometheusStatLogger": RayLogger,
        },
    }.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(RayMetric, "told", [])
    monkeypatch.setattr(vllm_stat_loggers, "TELL_RAY_S", 0.01)
    return stat_loggers_in_ray()[1]


def test_steps_are_told_together(logger):
    async def test() -> None:
        ours = logger()
        for step in range(100):
            ours.record(step, 2)
        assert RayMetric.told == []
        await asyncio.sleep(0.05)
        assert sorted(RayMetric.told) == [
            ("by source", ("m", "device"), 200),
            ("made", ("m",), 200),
            ("running", ("m",), 99),
        ]
        RayMetric.told.clear()
        ours.record(0, 0)
        await asyncio.sleep(0.05)
        assert RayMetric.told == [("running", ("m",), 0)]  # also when nothing follows

    asyncio.run(test())


def test_of_requests_each_is_told_at_once_and_of_tokens_none(logger):
    ours = logger()
    ours.first.observe(0.5)
    ours.gaps.observe(0.1)
    assert RayMetric.told == [("vllm:time_to_first_token_seconds", ("m",), 0.5)]


def test_what_is_said_before_there_is_a_loop_is_told_with_the_first_step():
    told: list[float] = []
    held = HeldValues()
    held.set(told.append, 1)

    async def test() -> None:
        held.add(told.append, 2)
        held.tell()

    asyncio.run(test())
    assert told == [1, 2]


def test_the_gaps_of_a_step_reach_who_wants_them(logger):
    heard: list[Any] = []
    stat_logger = token_gaps_to(heard.append)("vllm's config", engine_index=0)
    step = SimpleNamespace(inter_token_latencies_iter=[0.1, 0.2])
    stat_logger.record(None, step, mm_cache_stats=None, engine_idx=0)
    stat_logger.record(None, None)
    stat_logger.log_engine_initialized()
    assert heard == [[0.1, 0.2], ()]

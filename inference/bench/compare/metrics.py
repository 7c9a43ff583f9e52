"""The figures of a run by name, as gates and ratios use them. Pure."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter

from inference.bench.report.model import RunReport
from serving.engine import nearest
from serving.errors import ConfigError

Figure = Callable[[RunReport], float | None]

RATES = ("requests_per_s", "output_tokens_per_s", "input_tokens_per_s")
LATENCIES = ("ttft", "tpot", "itl", "e2el")
STATISTICS = ("mean", "min", "p50", "p90", "p95", "p99", "max")
GOODPUT = {"goodput_requests_per_s": "requests_per_s", "goodput_share": "share"}
ALIASES = {"tokens_per_s": "output_tokens_per_s", "goodput": "goodput_requests_per_s"}

# What is held against the baseline whether a gate asks for it or not.
SHOWN = ("requests_per_s", "output_tokens_per_s", "ttft_p50_ms", "tpot_p50_ms", "e2el_p50_ms")


def _latency(name: str, statistic: str) -> Figure:
    def figure(run: RunReport) -> float | None:
        found: float | None = getattr(getattr(run, f"{name}_ms"), statistic, None)
        return found

    return figure


def _goodput(field: str) -> Figure:
    def figure(run: RunReport) -> float | None:
        found: float | None = getattr(run.goodput, field, None)
        return found

    return figure


FIGURES: dict[str, Figure] = {
    **{name: attrgetter(f"throughput.{name}") for name in RATES},
    "output_tokens_per_s_per_request": attrgetter("throughput.output_tokens_per_s_per_request"),
    "error_rate": attrgetter("requests.error_rate"),
    **{f"{name}_{each}_ms": _latency(name, each) for name in LATENCIES for each in STATISTICS},
    **{name: _goodput(field) for name, field in GOODPUT.items()},
}


def canonical(name: str) -> str:
    """The metric's own name. Raises ConfigError naming the nearest one there is."""
    found = ALIASES.get(name, name)
    if found not in FIGURES:
        hint = nearest(name, [*FIGURES, *ALIASES]) or f"; there are {', '.join(FIGURES)}"
        raise ConfigError(f"there is no metric '{name}'{hint}")
    return found


def value(run: RunReport, metric: str) -> float | None:
    """None where the run did not measure it, such as the TTFT of answers that never came."""
    return FIGURES[metric](run)

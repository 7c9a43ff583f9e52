"""What machines did during a run, asked of Prometheus: node_exporter, NVIDIA's and AMD's exporters.

A metric that nobody exports leaves its figure empty. Failing after a run costs only these figures.
"""

from __future__ import annotations

import json
import logging
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx

from inference.bench.client.urls import address
from inference.bench.probe import reason
from inference.bench.report.model import NodeUsage, RunReport
from serving.errors import ConfigError

logger = logging.getLogger(__name__)

TIMEOUT_S = 10.0
MOST_POINTS = 200  # of a run, as Prometheus' own pages ask for
# Scrapes are often 15 s apart, so what is said of a run's first seconds is of the time before it.
SETTLE_S = 15.0
MOST_SKEW_S = 5.0  # between its clock and ours
MEBIBYTE = 1 << 20
# `irate` looks at the last two scrapes, however far apart they are; [5m] is only how far it looks.
# Metric names: node_exporter 1.x; DCGM-Exporter; AMD's device-metrics-exporter (percent, MiB).
GPU_NODE = "instance, Hostname, hostname"
QUERIES: Mapping[str, Sequence[str]] = {
    "cpu": ('1 - avg by (instance) (irate(node_cpu_seconds_total{mode="idle"}[5m]))',),
    "memory": ("node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes",),
    "receive": ('sum by (instance) (irate(node_network_receive_bytes_total{device!="lo"}[5m]))',),
    "transmit": ('sum by (instance) (irate(node_network_transmit_bytes_total{device!="lo"}[5m]))',),
    "gpu": (
        f"avg by ({GPU_NODE}) (DCGM_FI_DEV_GPU_UTIL) / 100",
        f"avg by ({GPU_NODE}) (gpu_gfx_activity) / 100",
    ),
    "gpu_memory": (
        f"sum by ({GPU_NODE}) (DCGM_FI_DEV_FB_USED) * {MEBIBYTE}",
        f"sum by ({GPU_NODE}) (gpu_used_vram) * {MEBIBYTE}",
    ),
}
NODE_NAMES = "node_uname_info"  # says which host name is behind an address


class PrometheusError(Exception):
    """Prometheus did not answer, or not as it should; one line says why."""


@dataclass(frozen=True, slots=True)
class Window:
    """When to look; `step_s` apart."""

    start: datetime
    end: datetime
    step_s: float


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a query's answer."""

    labels: Mapping[str, str]
    values: tuple[float, ...]


def check(url: str) -> None:
    """Before a run: raises ConfigError naming --prometheus if nothing answers there, or if its
    clock is so far from ours that a run's figures would be those of another time.
    """
    if "@" in url:
        raise ConfigError(
            "--prometheus: the URL holds a user name or password, which the report would show; "
            "go through a port-forward instead"
        )
    try:
        address(url, "chat")  # refuses what is no URL
        with _client(url) as client:
            ahead_s = _clock_s(client) - datetime.now().timestamp()
        if abs(ahead_s) > MOST_SKEW_S:
            way = "ahead of" if ahead_s > 0 else "behind"
            raise PrometheusError(
                f"the clock there is {abs(ahead_s):.0f} s {way} ours; set both by NTP"
            )
    except (ConfigError, PrometheusError) as error:
        raise ConfigError(f"--prometheus: {error}") from error


def node_usage(prometheus_url: str, began: datetime, ended: datetime) -> tuple[NodeUsage, ...]:
    """Each machine's figures over a run, in the order of their names.

    A run much shorter than two scrapes (often 30 s) shows mostly what was before it. Empty, with a
    warning in the log, if Prometheus fails now: the run's own results are worth keeping.
    """
    when = window(began, ended)
    try:
        with _client(prometheus_url) as client:
            names = node_names(_range(client, NODE_NAMES, when))
            found = {
                figure: [series for query in queries for series in _range(client, query, when)]
                for figure, queries in QUERIES.items()
            }
    except PrometheusError as error:
        logger.warning("no figures of the nodes: %s", error)
        return ()
    return usages(found, names)


def missing(prometheus_url: str | None, runs: Iterable[RunReport]) -> list[str]:
    """A report's note on runs whose machines Prometheus said nothing of. Pure."""
    without = [run.name for run in runs if not run.nodes]
    if prometheus_url is None or not without:
        return []
    return [f"Prometheus at {prometheus_url} gave no figures of any node for {', '.join(without)}."]


def window(began: datetime, ended: datetime) -> Window:
    """The run without what its first scrapes still say of the time before. Pure."""
    duration_s = max(0.0, (ended - began).total_seconds())
    settle_s = min(SETTLE_S, duration_s / 2)
    step_s = max(1.0, duration_s / MOST_POINTS)
    return Window(began + timedelta(seconds=settle_s), max(began, ended), step_s)


def node_names(uname: Iterable[Series]) -> dict[str, str]:
    """Host name by address, without its port. Pure."""
    return {
        host(each.labels.get("instance", "")): each.labels["nodename"]
        for each in uname
        if "nodename" in each.labels
    }


def host(instance: str) -> str:
    """`10.0.0.7` of `10.0.0.7:9100`: exporters of one machine differ in their ports. Pure."""
    name, colon, port = instance.rpartition(":")
    return name if colon and port.isdigit() else instance


def node_of(labels: Mapping[str, str], names: Mapping[str, str]) -> str:
    """Which machine a series is about: GPU exporters say it themselves. Pure."""
    address = host(labels.get("instance", ""))
    return labels.get("Hostname") or labels.get("hostname") or names.get(address, address)


def usages(
    found: Mapping[str, Sequence[Series]], names: Mapping[str, str]
) -> tuple[NodeUsage, ...]:
    """Series by figure become figures by machine. Pure."""
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for figure, many in found.items():
        for series in many:
            values[node_of(series.labels, names)][figure] += series.values
    return tuple(_usage(node, values[node]) for node in sorted(values))


def _usage(node: str, values: Mapping[str, Sequence[float]]) -> NodeUsage:
    def mean(figure: str) -> float | None:
        seen = values.get(figure)
        return sum(seen) / len(seen) if seen else None

    def most(figure: str) -> float | None:
        return max(values.get(figure, ()), default=None)

    return NodeUsage(
        node=node,
        cpu_mean=mean("cpu"),
        cpu_max=most("cpu"),
        memory_mean_bytes=mean("memory"),
        memory_max_bytes=most("memory"),
        network_receive_mean_bytes_per_s=mean("receive"),
        network_transmit_mean_bytes_per_s=mean("transmit"),
        gpu_mean=mean("gpu"),
        gpu_max=most("gpu"),
        gpu_memory_mean_bytes=mean("gpu_memory"),
        gpu_memory_max_bytes=most("gpu_memory"),
    )


def _client(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False)


def _name(client: httpx.Client) -> str:
    return str(client.base_url).rstrip("/")


def _clock_s(client: httpx.Client) -> float:
    """Prometheus' own time, in seconds of the epoch; raises PrometheusError."""
    data = _ask(client, "query", {"query": "time()"})
    try:
        return float(data["result"][1])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise PrometheusError(
            f"{_name(client)} does not tell the time; is it Prometheus?"
        ) from error


def _range(client: httpx.Client, query: str, when: Window) -> list[Series]:
    """Raises PrometheusError."""
    asked: dict[str, str | float] = {
        "query": query,
        "start": when.start.timestamp(),
        "end": when.end.timestamp(),
        "step": when.step_s,
    }
    data = _ask(client, "query_range", asked)
    try:
        many = [Series(each["metric"], _finite(each["values"])) for each in data["result"]]
    except (KeyError, TypeError, ValueError) as error:
        raise PrometheusError(f"{_name(client)} answers {query} in no known shape") from error
    return [series for series in many if series.values]


def _finite(samples: Iterable[tuple[float, str]]) -> tuple[float, ...]:
    numbers = (float(value) for _, value in samples)
    return tuple(number for number in numbers if math.isfinite(number))


def _ask(client: httpx.Client, route: str, asked: Mapping[str, str | float]) -> Any:
    """The `data` of an answer of Prometheus' HTTP API v1; raises PrometheusError."""
    try:
        answer = client.get(f"/api/v1/{route}", params=dict(asked))
        said = answer.json()
    except httpx.TransportError as error:
        raise PrometheusError(f"nothing answers at {_name(client)}: {reason(error)}") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise PrometheusError(
            f"{_name(client)} answers {answer.status_code} without JSON; is it Prometheus?"
        ) from error
    if not isinstance(said, dict) or said.get("status") != "success":
        why = said.get("error") if isinstance(said, dict) else None
        raise PrometheusError(f"{_name(client)} answers {answer.status_code}: {why or 'no result'}")
    return said.get("data")

"""What one replica counts, and /metrics.

Names are vLLM's where vLLM has one, so its dashboards work for every engine: a replica's own
/metrics says `vllm:time_to_first_token_seconds{model_name="…"}`, as a vLLM server does. Ray
forbids the colon; there (`ray_metrics`) the same metric is `ray_vllm_time_to_first_token_seconds`,
which is what vLLM itself exports under Ray. Our own metrics begin with `anynode_`.

The list of metrics stands here once; a sink knows how to keep them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from serving.types import Occupancy

LATENCY_BUCKETS_S = (
    0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920,
)  # fmt: skip
FIRST_TOKEN_BUCKETS_S = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40,
    80, 160, 640,
)  # fmt: skip
PER_TOKEN_BUCKETS_S = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric; counters get `_total` when they are written out."""

    kind: Literal["counter", "gauge", "histogram"]
    name: str
    help: str
    label: str | None = None  # besides model_name
    buckets: tuple[float, ...] = ()


RUNNING = Metric("gauge", "vllm:num_requests_running", "Requests that the engine works on")
WAITING = Metric("gauge", "vllm:num_requests_waiting", "Requests that wait for their turn")
KV_USAGE = Metric("gauge", "vllm:kv_cache_usage_perc", "KV cache in use; 1 is all of it")
PROMPT_TOKENS = Metric("counter", "vllm:prompt_tokens", "Prompt tokens processed")
GENERATION_TOKENS = Metric("counter", "vllm:generation_tokens", "Tokens generated")
DRAFT_TOKENS = Metric(
    "counter", "vllm:spec_decode_num_draft_tokens", "Tokens guessed ahead, and verified"
)
ACCEPTED_TOKENS = Metric(
    "counter", "vllm:spec_decode_num_accepted_tokens", "Tokens guessed ahead that were right"
)
SUCCESS = Metric(
    "counter", "vllm:request_success", "Choices finished, by reason", "finished_reason"
)
QUEUE_TIME = Metric(
    "histogram",
    "vllm:request_queue_time_seconds",
    "Time a request waited before it ran",
    buckets=LATENCY_BUCKETS_S,
)
FIRST_TOKEN = Metric(
    "histogram",
    "vllm:time_to_first_token_seconds",
    "From a request's arrival to its first token",
    buckets=FIRST_TOKEN_BUCKETS_S,
)
PER_TOKEN = Metric(
    "histogram",
    "vllm:request_time_per_output_token_seconds",
    "Mean time between a request's tokens, after the first",
    buckets=PER_TOKEN_BUCKETS_S,
)
E2E_LATENCY = Metric(
    "histogram",
    "vllm:e2e_request_latency_seconds",
    "From a request's arrival to its last token",
    buckets=LATENCY_BUCKETS_S,
)
ERRORS = Metric("counter", "anynode_request_errors", "Requests answered by an error", "status")

METRICS = (
    RUNNING,
    WAITING,
    KV_USAGE,
    PROMPT_TOKENS,
    GENERATION_TOKENS,
    DRAFT_TOKENS,
    ACCEPTED_TOKENS,
    SUCCESS,
    QUEUE_TIME,
    FIRST_TOKEN,
    PER_TOKEN,
    E2E_LATENCY,
    ERRORS,
)


class Sink(Protocol):
    """Keeps the values of METRICS for one model. No call may block."""

    def add(self, metric: Metric, value: float, label: str | None = None) -> None:
        """Count `value` more."""

    def set(self, metric: Metric, value: float) -> None:
        """The gauge stands at `value` now."""

    def observe(self, metric: Metric, value: float) -> None:
        """One more measurement for the histogram."""


class PrometheusSink:
    """A registry of its own, so that several replicas can live in one process."""

    def __init__(self, model_name: str) -> None:
        self._model_name = model_name
        self._registry = CollectorRegistry()
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        for metric in METRICS:
            self._register(metric)

    def _register(self, metric: Metric) -> None:
        labels = ["model_name", *([metric.label] if metric.label else [])]
        name, text, registry = metric.name, metric.help, self._registry
        if metric.kind == "counter":
            counter = Counter(name, text, labels, registry=registry)
            # With no label of its own a metric is bound to its model once, not at every call.
            self._counters[name] = counter if metric.label else counter.labels(self._model_name)
        elif metric.kind == "gauge":
            gauge = Gauge(name, text, labels, registry=registry)
            self._gauges[name] = gauge.labels(self._model_name)
        else:
            histogram = Histogram(name, text, labels, registry=registry, buckets=metric.buckets)
            self._histograms[name] = histogram.labels(self._model_name)

    def add(self, metric: Metric, value: float, label: str | None = None) -> None:
        """Count `value` more."""
        counter = self._counters[metric.name]
        (counter if label is None else counter.labels(self._model_name, label)).inc(value)

    def set(self, metric: Metric, value: float) -> None:
        """The gauge stands at `value` now."""
        self._gauges[metric.name].set(value)

    def observe(self, metric: Metric, value: float) -> None:
        """One more measurement for the histogram."""
        self._histograms[metric.name].observe(value)

    def exposition(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self._registry)


class FaceMetrics:
    """Tells every sink what happened."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = sinks
        self._known = Occupancy()

    def busy(self, num_running: int, num_waiting: int, occupancy: Occupancy) -> None:
        """How full the replica is now."""
        total = occupancy.kv_bytes_total
        usage = occupancy.kv_bytes_used / total if total else 0.0
        for sink in self._sinks:
            sink.set(RUNNING, num_running)
            sink.set(WAITING, num_waiting)
            sink.set(KV_USAGE, usage)
        # An engine counts from when it was loaded, sinks what is new.
        self.add(DRAFT_TOKENS, occupancy.num_draft_tokens - self._known.num_draft_tokens)
        self.add(ACCEPTED_TOKENS, occupancy.num_accepted_tokens - self._known.num_accepted_tokens)
        self._known = occupancy

    def add(self, metric: Metric, value: float, label: str | None = None) -> None:
        """Count `value` more."""
        for sink in self._sinks:
            sink.add(metric, value, label)

    def observe(self, metric: Metric, value: float) -> None:
        """One more measurement."""
        for sink in self._sinks:
            sink.observe(metric, value)

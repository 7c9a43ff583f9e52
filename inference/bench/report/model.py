"""The report: everything a benchmark found. Its JSON is the one file all others are made from.

Units are in names. A figure that was not measured is None, never 0.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION: Final = "anynode.bench/1"


class Model(BaseModel):
    """Every part of a report: strict when it is read back."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Histogram(Model):
    """`counts[i]` values lie in [edges[i], edges[i + 1])."""

    edges: list[float]
    counts: list[int]


class Distribution(Model):
    """What is known of many values; percentiles interpolate linearly, as numpy's do.

    Other tools' summaries leave some of it unknown.
    """

    count: int
    mean: float
    std: float
    min: float | None = None
    max: float | None = None
    p50: float
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    quantiles: list[float] = Field(default=[], description="0 %, 1 % … 100 %: the CDF")
    histogram: Histogram | None = None


class LoadReport(Model):
    """How requests were offered."""

    kind: Literal["closed", "constant", "poisson", "burst", "trace"]
    concurrency: int | None = None  # clients of a closed loop; the cap of an open one
    request_rate: float | None = None  # requests/s of an open loop
    num_requests: int | None = None
    duration_s: float | None = None
    warmup_requests: int = 0


class ErrorClass(Model):
    """How often requests failed in one way."""

    kind: str
    count: int
    example: str


class RequestCounts(Model):
    """What became of the requests; those we interrupted ourselves are no errors."""

    sent: int
    succeeded: int
    failed: int
    interrupted: int
    error_rate: float  # failed / (succeeded + failed)
    errors: list[ErrorClass]


class TokenCounts(Model):
    """Tokens of the requests that succeeded."""

    prompt: int
    output: int
    counted_by: list[str]  # server, tokenizer, events
    per_event: float | None  # more than one: ITL is a gap between events, not between tokens


class Throughput(Model):
    """Per second of the run's whole duration, first request due to last answer complete."""

    requests_per_s: float
    output_tokens_per_s: float
    input_tokens_per_s: float
    output_tokens_per_s_per_gpu: float | None = None
    input_tokens_per_s_per_gpu: float | None = None
    output_tokens_per_s_per_core: float | None = None
    input_tokens_per_s_per_core: float | None = None
    output_tokens_per_s_per_request: float | None = None  # mean of each request's own
    requests_below_threshold: int | None = None  # their own tokens/s below `threshold_tps`
    threshold_tps: float | None = None


class Goodput(Model):
    """Requests that met every objective."""

    objectives_ms: dict[str, float]  # ttft, tpot, itl, e2el
    requests_per_s: float
    share: float


class Second(Model):
    """What happened in one second of a run."""

    at_s: float
    completed: int
    failed: int
    output_tokens: float
    in_flight: float  # on average


class ClientReport(Model):
    """What the client itself cost, and whether it was in the way."""

    processes: int
    cpu_s: float
    cpu_share: float  # of one core, the busiest process
    cpu_us_per_event: float | None
    events_per_s: float
    peak_in_flight: int
    loop_lag_p99_ms: float  # how late the busiest process' event loop ran its timers
    send_lag_p99_ms: float  # how late requests left after they were due
    overloaded: str | None = None  # why its figures are not to be trusted


class NodeUsage(Model):
    """One machine during a run, by Prometheus; shares are 0 to 1, mean and highest."""

    node: str
    cpu_mean: float | None = None
    cpu_max: float | None = None
    memory_mean_bytes: float | None = None
    memory_max_bytes: float | None = None
    network_receive_mean_bytes_per_s: float | None = None
    network_transmit_mean_bytes_per_s: float | None = None
    gpu_mean: float | None = None
    gpu_max: float | None = None
    gpu_memory_mean_bytes: float | None = None
    gpu_memory_max_bytes: float | None = None


class RunReport(Model):
    """One run: one load on one arm."""

    name: str  # what tells it from its neighbours: "concurrency 8", "4 requests/s"
    arm: str = ""
    round: int = 0
    load: LoadReport
    started_at: datetime
    duration_s: float
    interrupted: bool
    requests: RequestCounts
    tokens: TokenCounts
    throughput: Throughput
    goodput: Goodput | None = None
    ttft_ms: Distribution | None = None
    tpot_ms: Distribution | None = None
    itl_ms: Distribution | None = None
    e2el_ms: Distribution | None = None
    safety_ms: Distribution | None = None  # the content-safety hook, before and after together
    timeline: list[Second] = []
    client: ClientReport | None = None
    nodes: list[NodeUsage] = []
    answers_digest: str | None = None  # of all answers in order: equal if two arms said the same


class Environment(Model):
    """The machine the client ran on."""

    processor: str
    cores: int
    memory_bytes: int
    gpus: list[str] = []
    kernel: str
    python: str
    versions: dict[str, str]


class ServerReport(Model):
    """What a server says of itself."""

    arm: str = ""
    url: str
    models: list[str] = []
    version: dict[str, Any] = {}
    num_gpus: int | None = None
    num_cores: int | None = None


class Knee(Model):
    """Where more load stops paying."""

    run: str
    output_tokens_per_s: float
    share_of_peak: float
    reason: str


class ParityCheck(Model):
    """One thing that must be the same for all arms, and whether it was."""

    name: str
    ok: bool
    detail: str


class Ratio(Model):
    """Arm over baseline, paired round by round; the interval is a bootstrap's."""

    arm: str
    baseline: str
    metric: str
    run: str
    values: list[float]
    median: float
    low: float
    high: float
    confidence: float
    difference: bool = False  # arm - baseline in the metric's unit, instead of arm / baseline


class GateResult(Model):
    """One line of a gate file and what the rounds say of it."""

    gate: str
    run: str
    verdict: Literal["pass", "fail", "undecided"]
    measured: Ratio
    reason: str


class Comparison(Model):
    """Arms side by side."""

    arms: list[str]
    baseline: str
    rounds: int
    parity: list[ParityCheck]
    ratios: list[Ratio]
    gates: list[GateResult]
    verdict: Literal["pass", "fail", "undecided", "none"]


class Report(Model):
    """One command's findings."""

    schema_version: Literal["anynode.bench/1"] = SCHEMA_VERSION
    kind: Literal["serve", "sweep", "throughput", "stress", "compare"]
    title: str
    created_at: datetime
    command: list[str]
    environment: Environment
    servers: list[ServerReport]
    settings: dict[str, Any]
    runs: list[RunReport]
    knee: Knee | None = None
    comparison: Comparison | None = None
    notes: list[str] = []

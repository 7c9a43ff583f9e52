"""What a run is: where requests go, which, and when. Data only; `runner` carries it out.

Everything here can be pickled, since a run may take several processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from inference.bench.record import PromptSource
from inference.bench.report.model import LoadReport
from inference.bench.safety import SafetySettings
from inference.bench.summary import Yardsticks

RouteName = Literal["chat", "completions", "embeddings", "generate"]
ArrivalKind = Literal["constant", "poisson", "burst", "trace"]


class Arrivals(Protocol):
    """When the requests of an open loop are due."""

    @property
    def kind(self) -> ArrivalKind: ...

    @property
    def request_rate(self) -> float:
        """Requests per second on average."""

    def offsets_s(self) -> Iterator[float]:
        """Seconds after the start, never falling; the same on every call; may be endless."""


@dataclass(frozen=True, slots=True)
class Load:
    """A closed loop of `concurrency` clients, or an open one whose requests are due at `arrivals`.

    It ends after `num_requests`, after `duration_s`, or with the arrivals, whatever comes first;
    requests in flight then may finish.
    """

    concurrency: int | None = None  # of an open loop: a cap, beyond which requests wait (and show)
    arrivals: Arrivals | None = None
    num_requests: int | None = None
    duration_s: float | None = None
    warmup_requests: int = 0

    @property
    def name(self) -> str:
        """What tells it from other loads."""
        if self.arrivals is None:
            return f"concurrency {self.concurrency}"
        return f"{self.arrivals.request_rate:g} requests/s"

    def report(self) -> LoadReport:
        arrivals = self.arrivals
        return LoadReport(
            kind="closed" if arrivals is None else arrivals.kind,
            concurrency=self.concurrency,
            request_rate=None if arrivals is None else arrivals.request_rate,
            num_requests=self.num_requests,
            duration_s=self.duration_s,
            warmup_requests=self.warmup_requests,
        )


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to ask and how. Several URLs take turns."""

    urls: tuple[str, ...]
    route: RouteName = "chat"
    model: str | None = None  # None: the first that /v1/models names
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold a key
    stream: bool = True
    max_tokens: int | None = None  # where a prompt does not say
    sampling: Mapping[str, Any] = field(default_factory=dict)  # temperature, top_p, seed, …
    timeout_s: float = 600.0
    tokenizer: str | None = None  # folder; counts tokens where the server does not


@dataclass(frozen=True, slots=True)
class RunPlan:
    """One run of one arm."""

    name: str
    target: Target
    prompts: PromptSource
    load: Load
    yardsticks: Yardsticks = field(default_factory=Yardsticks)
    arm: str = ""
    round: int = 0
    processes: int = 1
    prometheus: str | None = None
    safety: SafetySettings | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How a run stands, a few times a second."""

    elapsed_s: float
    sent: int
    succeeded: int
    failed: int
    in_flight: int
    output_events: int
    recent_ttft_ms: float | None  # median of the last requests


@dataclass(slots=True)
class Interrupt:
    """Set from a signal handler; a run then stops at once and keeps what it has."""

    requested: bool = False


Progress = Callable[[Snapshot], None]


def no_progress(snapshot: Snapshot) -> None:
    """For runs that nobody watches."""

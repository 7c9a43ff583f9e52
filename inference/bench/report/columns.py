"""What is said of a run, column by column: the CSV writes all, people see those marked `shown`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from inference.bench.report import text
from inference.bench.report.model import Distribution, RunReport
from inference.bench.report.text import Cell

METRICS = {"ttft": "TTFT", "tpot": "TPOT", "itl": "ITL", "e2el": "E2EL"}
FIGURES = ("mean", "std", "min", "p50", "p90", "p95", "p99", "max")
OUTPUT = "Output tokens/s"
SHOWN_FIGURES = {
    "ttft": ("p50", "p95"),
    "tpot": ("p50", "p95"),
    "itl": ("p50", "p99"),
    "e2el": ("p50", "p95", "p99"),
}


@dataclass(frozen=True, slots=True)
class Column:
    """One figure of a run. `group` and `heading` are what people see, `name` is for programs."""

    name: str
    group: str
    heading: str
    of: Callable[[RunReport], Cell]
    shown: bool = True
    needs_answers: bool = True

    @property
    def title(self) -> str:
        """Group and heading in one line: `TTFT p50, ms`."""
        what, _, unit = self.group.partition(", ")
        words = f"{what} {self.heading}".strip()
        return f"{words}, {unit}" if unit else words


def distribution(run: RunReport, metric: str) -> Distribution | None:
    """The distribution of `ttft`, `tpot`, `itl`, `e2el` or `safety`, in ms."""
    found: Distribution | None = getattr(run, f"{metric}_ms")
    return found


def title(name: str) -> str:
    """What people call a column; names that are none of ours stay as they are."""
    return next((each.title for each in COLUMNS if each.name == name), name)


def shown(runs: Sequence[RunReport]) -> list[tuple[Column, list[Cell]]]:
    """The columns that hold anything, with their cells.

    A run without answers has no figures but its counts; its first figure says so.
    """
    found: list[tuple[Column, list[Cell]]] = []
    for column in COLUMNS:
        if column.shown:
            cells = [_cell(column, run) for run in runs]
            if any(each not in (None, "") for each in cells):
                found.append((column, cells))
    return found


def _cell(column: Column, run: RunReport) -> Cell:
    if column.name == "run" and run.interrupted:
        return f"{run.name} (interrupted)"
    if column.group == OUTPUT and not run.tokens.output:
        return None  # embeddings have none
    if run.requests.succeeded or not column.needs_answers:
        return column.of(run)
    return text.NO_ANSWERS if column.name == "requests_per_s" else None


def _identity() -> list[Column]:
    def column(
        name: str, heading: str, of: Callable[[RunReport], Cell], *, shown: bool = True
    ) -> Column:
        return Column(name, "", heading, of, shown, needs_answers=False)

    return [
        column("run", "Load", attrgetter("name")),
        column("arm", "Arm", attrgetter("arm")),
        column("round", "Round", lambda run: run.round or None),
        column("load", "Kind", attrgetter("load.kind"), shown=False),
        column("concurrency", "Concurrency", attrgetter("load.concurrency"), shown=False),
        column("request_rate_per_s", "Rate", attrgetter("load.request_rate"), shown=False),
        column("started_at", "Started", lambda run: run.started_at.isoformat(), shown=False),
        column("duration_s", "Duration, s", attrgetter("duration_s"), shown=False),
        column("interrupted", "Interrupted", lambda run: int(run.interrupted), shown=False),
    ]


def _requests() -> list[Column]:
    def column(name: str, heading: str, key: str, *, shown: bool = True) -> Column:
        return Column(
            name, "Requests", heading, attrgetter(f"requests.{key}"), shown, needs_answers=False
        )

    return [
        column("requests_sent", "sent", "sent", shown=False),
        column("requests_ok", "ok", "succeeded"),
        column("requests_failed", "failed", "failed"),
        Column(
            "requests_below_threshold",
            "Requests",
            "below threshold",
            attrgetter("throughput.requests_below_threshold"),
        ),
        column("requests_interrupted", "interrupted", "interrupted", shown=False),
        column("error_rate", "error rate", "error_rate", shown=False),
        Column("errors", "", "Errors", _errors, shown=False, needs_answers=False),
    ]


def _errors(run: RunReport) -> Cell:
    return " ".join(f"{each.kind}:{each.count}" for each in run.requests.errors) or None


def _throughput() -> list[Column]:
    def column(name: str, group: str, heading: str) -> Column:
        return Column(name, group, heading, attrgetter(f"throughput.{name}"))

    output, prompt = OUTPUT, "Input tokens/s"
    return [
        column("requests_per_s", "Requests/s", ""),
        column("output_tokens_per_s", output, ""),
        column("output_tokens_per_s_per_gpu", output, "per GPU"),
        column("output_tokens_per_s_per_core", output, "per core"),
        column("output_tokens_per_s_per_request", output, "per request"),
        column("input_tokens_per_s", prompt, ""),
        column("input_tokens_per_s_per_gpu", prompt, "per GPU"),
        column("input_tokens_per_s_per_core", prompt, "per core"),
        Column("threshold_tps", "", "Threshold", attrgetter("throughput.threshold_tps"), False),
        Column("input_tokens", "", "Input", attrgetter("tokens.prompt"), False),
        Column("output_tokens", "", "Output", attrgetter("tokens.output"), False),
        Column("counted_by", "", "By", lambda run: " ".join(run.tokens.counted_by), False),
        Column("tokens_per_event", "", "Tokens/event", attrgetter("tokens.per_event"), False),
    ]


def _latencies() -> list[Column]:
    found = [
        Column(
            f"{metric}_{figure}_ms",
            f"{title}, ms",
            figure,
            _part(f"{metric}_ms", figure),
            shown=figure in SHOWN_FIGURES[metric],
        )
        for metric, title in METRICS.items()
        for figure in FIGURES
    ]
    safety = [
        Column(f"safety_{figure}_ms", "Safety, ms", figure, _part("safety_ms", figure))
        for figure in ("p50", "p95")
    ]
    return found + safety


def _goodput() -> list[Column]:
    def column(key: str, heading: str) -> Column:
        of = _part("goodput", key)
        return Column(f"goodput_{key}", "Goodput", heading, of, needs_answers=False)

    return [column("requests_per_s", "requests/s"), column("share", "share")]


def _client() -> list[Column]:
    def column(key: str) -> Column:
        of = _part("client", key)
        return Column(f"client_{key}", "Client", key, of, shown=False, needs_answers=False)

    return [column(key) for key in ("cpu_share", "cpu_us_per_event", "loop_lag_p99_ms")]


def _part(name: str, key: str) -> Callable[[RunReport], Cell]:
    """One figure of a part that not every run has."""

    def of(run: RunReport) -> Cell:
        value: Cell = getattr(getattr(run, name), key, None)
        return value

    return of


COLUMNS = (
    *_identity(),
    *_requests(),
    *_throughput(),
    *_latencies(),
    *_goodput(),
    *_client(),
)

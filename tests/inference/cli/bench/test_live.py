"""What a person sees while a run goes on."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from inference.bench.arrivals import Constant
from inference.bench.plan import Load, RunPlan, Snapshot, Target
from inference.bench.record import Failure, FailureKind, RequestRecord
from inference.bench.summary import RunFacts, Yardsticks, summarise
from inference.cli.bench.live import LiveView, figures, outcome, progress_share
from inference.cli.bench.session import without_values_of_headers

SNAPSHOT = Snapshot(5.0, 12, 8, 1, 3, 100, 41.5)


@pytest.mark.parametrize(
    ("load", "share"),
    [
        (Load(concurrency=1, num_requests=18), 0.5),
        (Load(concurrency=1, duration_s=20.0), 0.25),
        (Load(concurrency=1, num_requests=18, duration_s=5.0), 1.0),
        (Load(concurrency=1, num_requests=3), 1.0),
        (Load(concurrency=1), None),
    ],
)
def test_progress_is_measured_by_what_ends_the_run_first(load, share):
    assert progress_share(load, SNAPSHOT) == share


def test_figures_say_failures_only_where_there_are_some():
    assert figures(SNAPSHOT) == "5 s · 8 answered · 1 failed · 3 running · TTFT 42 ms"
    calm = Snapshot(1.0, 1, 0, 0, 1, 0, None)
    assert figures(calm) == "1 s · 0 answered · 1 running"


def test_a_load_has_a_name():
    assert Load(concurrency=4).name == "concurrency 4"
    assert Load(arrivals=Constant(2.5), concurrency=9).name == "2.5 requests/s"


def test_a_run_leaves_one_line(capsys):
    facts = RunFacts("concurrency 2", Load(concurrency=2).report(), datetime.now(UTC), 0.0)
    good = RequestRecord(0, 0, 0.0, 0.0, 2.0, (0.5, 2.0), 3, 4)
    bad = RequestRecord(1, 0, 0.0, 0.0, 1.0, failure=Failure(FailureKind.HTTP_429, "full"))
    report = summarise(facts, [good, bad], Yardsticks())
    plan = RunPlan("concurrency 2", Target(()), object(), Load(concurrency=2), arm="ours")
    with LiveView() as view:
        view.begin(plan)
        view.update(SNAPSHOT)
        view.end(report)
    line = capsys.readouterr().err.strip()
    assert line == f"ours concurrency 2: {outcome(report)}"
    assert outcome(report) == (
        "1 answered in 2.0 s, 1 failed (1 http_429: full), 0.50 requests/s, 2.0 tokens/s, "
        "TTFT p50 500.0 ms"
    )


def test_a_published_command_line_holds_no_key():
    given = ["bench", "serve", "u", "--header", "X: key", "--header=Y: key", "--seed", "1"]
    shown = ["bench", "serve", "u", "--header", "X: …", "--header=Y: …", "--seed", "1"]
    assert without_values_of_headers(given) == shown

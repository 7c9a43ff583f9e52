from __future__ import annotations

import pytest

from inference.bench.compare.foreign import guidellm


def summary(mean, count=4, **changed):
    """Of one metric's successful requests."""
    percentiles = dict.fromkeys(("p001", "p25", "p50", "p90", "p95", "p99", "p999"), mean * 1.5)
    found = {"mean": mean, "median": mean, "mode": mean, "variance": 4.0, "std_dev": 2.0}
    found |= {"min": mean / 2, "max": mean * 2, "count": count, "total_sum": mean * count}
    return {"successful": {**found, "percentiles": percentiles, "pdf": None, **changed}}


METRICS = {
    "request_totals": {"successful": 4, "errored": 1, "incomplete": 2, "total": 7},
    "requests_per_second": summary(0.4),
    "request_concurrency": summary(2.0),
    "request_latency": summary(0.5),
    "prompt_token_count": summary(32.0),
    "output_token_count": summary(16.0),
    "time_to_first_token_ms": summary(50.0),
    "time_per_output_token_ms": summary(31.0),
    "inter_token_latency_ms": summary(30.0, count=60),
}
# 0.5 and later.
BENCHMARK = {
    "type_": "generative_benchmark",
    "config": {
        "strategy": {"type_": "concurrent", "worker_count": 2, "streams": 2},
        "backend": {"target": "http://h:8000", "model": "org/model"},
    },
    "scheduler_metrics": {"requests_made": METRICS["request_totals"]},
    "metrics": METRICS,
    "start_time": 1777451316.0,
    "end_time": 1777451326.0,
    "duration": 10.0,
    "requests": {"successful": [], "incomplete": [], "errored": []},
}
REPORT = {"metadata": {"guidellm_version": "0.6.0"}, "args": {}, "benchmarks": [BENCHMARK]}


def only_run(**changed):
    return guidellm.runs({"benchmarks": [{**BENCHMARK, **changed}]}, "ours")[0]


def test_counts_and_rates_are_over_the_duration():
    run = only_run()
    assert (run.name, run.arm, run.duration_s) == ("concurrency 2", "ours", 10)
    counts = run.requests
    assert (counts.sent, counts.succeeded, counts.failed, counts.interrupted) == (7, 4, 1, 2)
    assert counts.error_rate == 0.2
    assert run.throughput.requests_per_s == 0.4
    assert run.throughput.output_tokens_per_s == 6.4
    assert (run.tokens.prompt, run.tokens.output) == (128, 64)
    assert guidellm.model(REPORT) == "org/model"


def test_its_inter_token_latency_is_a_time_per_output_token():
    run = only_run()
    assert run.tpot_ms and run.ttft_ms and run.e2el_ms
    assert (run.tpot_ms.mean, run.itl_ms) == (30, None)
    assert (run.ttft_ms.p50, run.ttft_ms.p95, run.ttft_ms.min) == (50, 75, 25)
    assert run.e2el_ms.p50 == 500
    assert run.e2el_ms.quantiles == []


def test_requests_give_true_distributions_if_all_are_there():
    requests = [
        {
            "request_latency": 0.1 * number,
            "time_to_first_token_ms": 10.0 * number,
            "inter_token_latency_ms": None if number == 1 else 5.0,
            "output": "text",
        }
        for number in range(1, 5)
    ]
    run = only_run(requests={"successful": requests})
    assert run.ttft_ms and run.tpot_ms and run.e2el_ms
    assert run.ttft_ms.p50 == pytest.approx(25)
    assert run.tpot_ms.count == 3
    assert run.e2el_ms.max == pytest.approx(400)
    assert len(run.e2el_ms.quantiles) == 101
    sampled = only_run(requests={"successful": requests[:2]})
    assert sampled.ttft_ms
    assert sampled.ttft_ms.p50 == 50


@pytest.mark.parametrize(
    ("strategy", "name", "kind"),
    [
        ({"type_": "synchronous"}, "concurrency 1", "closed"),
        ({"type_": "concurrent", "streams": 8}, "concurrency 8", "closed"),
        ({"kind": "concurrent", "max_concurrency": 8}, "concurrency 8", "closed"),
        ({"type_": "throughput"}, "all at once", "closed"),
        ({"type_": "constant", "rate": 2.5}, "2.5 requests/s", "constant"),
        ({"type_": "poisson", "rate": 4.0}, "4 requests/s", "poisson"),
    ],
)
def test_a_strategy_is_a_load(strategy, name, kind):
    run = only_run(config={"strategy": strategy})
    assert (run.name, run.load.kind) == (name, kind)


@pytest.mark.parametrize("place", ["args", "scheduler", "config"])
def test_older_versions_keep_things_elsewhere(place):
    metrics = {name: each for name, each in METRICS.items() if name != "request_totals"}
    older = {name: each for name, each in BENCHMARK.items() if name != "config"}
    older |= {
        place: {"strategy": {"type_": "concurrent", "streams": 3}},
        "metrics": metrics,
        "request_totals": {"successful": 5, "errored": 0, "incomplete": 0, "total": 5},
        "worker": {"backend_model": "old/model"},
    }
    run = guidellm.runs({"benchmarks": [older]}, "ours")[0]
    assert (run.name, run.requests.succeeded) == ("concurrency 3", 5)
    assert guidellm.model({"benchmarks": [older]}) == "old/model"


def test_a_sweep_is_several_runs():
    other = {**BENCHMARK, "config": {"strategy": {"type_": "constant", "rate": 1.0}}}
    found = guidellm.runs({"benchmarks": [BENCHMARK, other]}, "ours")
    assert [run.name for run in found] == ["concurrency 2", "1 requests/s"]


def test_an_answer_that_was_no_stream_has_no_first_token():
    metrics = {**METRICS, "time_to_first_token_ms": summary(0.0, std_dev=0.0)}
    assert only_run(metrics=metrics).ttft_ms is None

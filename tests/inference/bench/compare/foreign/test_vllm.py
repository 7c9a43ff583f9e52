from __future__ import annotations

import pytest
from pydantic import ValidationError

from inference.bench.compare.foreign import vllm

# As `vllm bench serve --save-result` writes it.
SUMMARY = {
    "date": "20260301-101500",
    "endpoint_type": "vllm",
    "backend": "vllm",
    "label": None,
    "model_id": "meta-llama/Llama-3.1-8B-Instruct",
    "tokenizer_id": "meta-llama/Llama-3.1-8B-Instruct",
    "num_prompts": 4,
    "request_rate": "inf",
    "burstiness": 1.0,
    "max_concurrency": 2,
    "duration": 2.0,
    "completed": 3,
    "failed": 1,
    "total_input_tokens": 96,
    "total_output_tokens": 9,
    "request_throughput": 1.5,
    "request_goodput": None,
    "output_throughput": 4.5,
    "total_token_throughput": 52.5,
    "max_output_tokens_per_s": 5.0,
    "max_concurrent_requests": 2,
    **{f"mean_{name}_ms": 20.0 for name in ("ttft", "tpot", "itl")},
    **{f"median_{name}_ms": 19.0 for name in ("ttft", "tpot", "itl")},
    **{f"std_{name}_ms": 1.5 for name in ("ttft", "tpot", "itl")},
    **{f"p99_{name}_ms": 23.0 for name in ("ttft", "tpot", "itl")},
}
# With --save-detailed: of all requests, the one that failed too.
DETAILED = {
    **SUMMARY,
    "input_lens": [32, 32, 32, 32],
    "output_lens": [3, 0, 5, 1],
    "ttfts": [0.010, 0.0, 0.030, 0.020],
    "itls": [[0.005, 0.007], [], [0.010, 0.010, 0.010, 0.010], []],
    "start_times": [10.0, 10.1, 10.2, 10.3],
    "generated_texts": ["abc", "", "abcde", "a"],
    "errors": ["", "Traceback: refused", "", ""],
}


def test_counts_and_rates_are_the_files():
    run = vllm.run(SUMMARY, "bare")
    assert (run.name, run.arm) == ("concurrency 2", "bare")
    assert (run.requests.sent, run.requests.succeeded, run.requests.failed) == (4, 3, 1)
    assert run.requests.error_rate == 0.25
    assert run.throughput.requests_per_s == 1.5
    assert run.throughput.output_tokens_per_s == 4.5
    assert run.throughput.input_tokens_per_s == 48
    assert (run.tokens.prompt, run.tokens.output) == (96, 9)
    assert run.load.kind == "closed"


def test_a_summary_says_what_it_knows_and_nothing_else():
    run = vllm.run(SUMMARY, "bare")
    assert run.ttft_ms is not None
    assert (run.ttft_ms.mean, run.ttft_ms.p50, run.ttft_ms.p99) == (20, 19, 23)
    assert run.ttft_ms.count == 3
    assert (run.ttft_ms.p95, run.ttft_ms.min, run.ttft_ms.histogram) == (None, None, None)
    assert run.ttft_ms.quantiles == []
    assert run.e2el_ms is None


def test_details_give_true_distributions_of_what_succeeded():
    run = vllm.run(DETAILED, "bare")
    assert run.ttft_ms and run.tpot_ms and run.itl_ms and run.e2el_ms
    assert (run.ttft_ms.count, run.ttft_ms.p50) == (3, pytest.approx(20))
    assert run.tpot_ms.count == 2
    assert run.tpot_ms.min == pytest.approx(6)
    assert run.tpot_ms.max == pytest.approx(10)
    assert (run.itl_ms.count, run.itl_ms.min) == (6, pytest.approx(5))
    assert run.e2el_ms.max == pytest.approx(70)
    assert len(run.ttft_ms.quantiles) == 101


def test_latencies_of_newer_versions_are_taken():
    run = vllm.run({**DETAILED, "latencies": [0.03, 0.0, 0.09, 0.02]}, "bare")
    assert run.e2el_ms
    assert run.e2el_ms.max == pytest.approx(90)


@pytest.mark.parametrize("lists", [{"ttfts": []}, {"output_lens": [3]}, {"errors": [""] * 4}])
def test_details_that_do_not_fit_together_are_not_taken(lists):
    run = vllm.run({**DETAILED, **lists}, "bare")
    assert run.ttft_ms
    assert run.ttft_ms.quantiles == []


def test_an_open_loop_is_named_by_its_rate():
    run = vllm.run({**SUMMARY, "request_rate": 2.5, "max_concurrency": None}, "bare")
    assert (run.name, run.load.kind, run.load.request_rate) == ("2.5 requests/s", "poisson", 2.5)
    assert vllm.run({**SUMMARY, "max_concurrency": None}, "bare").name == "all at once"


def test_older_versions_do_not_say_what_failed():
    older = {name: value for name, value in SUMMARY.items() if name != "failed"}
    assert vllm.run(older, "bare").requests.failed == 1


def test_nothing_answered_is_nothing_measured():
    zeros = {name: 0.0 for name in SUMMARY if name.endswith("_ms")}
    run = vllm.run({**SUMMARY, **zeros, "completed": 0, "failed": 4}, "bare")
    assert (run.ttft_ms, run.requests.error_rate) == (None, 1)


@pytest.mark.parametrize("wrong", [{"duration": 0}, {"date": "yesterday"}, {"completed": "few"}])
def test_a_broken_file_is_refused(wrong):
    with pytest.raises(ValidationError):
        vllm.run({**SUMMARY, **wrong}, "bare")


def test_other_files_are_not_recognised():
    assert vllm.recognises(SUMMARY)
    assert not vllm.recognises({"duration": 3})

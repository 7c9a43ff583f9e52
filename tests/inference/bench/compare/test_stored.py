from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from inference.bench.compare import stored
from inference.bench.report.model import Comparison, Environment, Report, ServerReport
from serving.errors import ConfigError
from tests.inference.bench.compare.foreign.test_guidellm import REPORT
from tests.inference.bench.compare.foreign.test_vllm import SUMMARY
from tests.inference.bench.compare.samples import sample_run, written

ENVIRONMENT = Environment(
    processor="p", cores=2, memory_bytes=1, kernel="k", python="3.11", versions={}
)


def ours(path, **changed):
    report = Report(
        kind="serve",
        title="t",
        created_at=datetime(2026, 5, 1, tzinfo=UTC),
        command=["anynode"],
        environment=ENVIRONMENT,
        servers=[ServerReport(url="http://h", models=["m"], version={"version": "1"})],
        settings={"temperature": 0.0, "stream": True, "seed": 3},
        runs=[sample_run("", 0)],
    )
    path.write_text(report.model_copy(update=changed).model_dump_json())
    return path


def test_every_file_of_an_arm_is_a_round(tmp_path):
    found = stored.read([ours(tmp_path / "1.json"), ours(tmp_path / "2.json")], "ours")
    assert [(run.arm, run.round) for run in found.runs] == [("ours", 1), ("ours", 2)]
    assert [server.arm for server in found.servers] == ["ours"]
    assert found.facts.sent == {"temperature": 0, "stream": True}
    assert (found.facts.model, found.facts.version) == ("m", {"version": "1"})
    assert found.tools == set()


def test_a_load_that_comes_again_is_the_next_round():
    runs = [sample_run(concurrency=clients) for clients in (1, 8, 1, 8, 8)]
    found = stored.in_rounds(runs)
    assert [(run.load.concurrency, run.round) for run in found] == [
        *[(1, 1), (8, 1)],
        *[(1, 2), (8, 2), (8, 3)],
    ]


def test_of_a_comparison_the_arm_of_that_name_is_taken(tmp_path):
    comparison = Comparison(
        arms=["bare", "ours"],
        baseline="bare",
        rounds=1,
        parity=[],
        ratios=[],
        gates=[],
        verdict="none",
    )
    path = ours(
        tmp_path / "both.json",
        comparison=comparison,
        runs=[sample_run("bare"), sample_run("ours", tokens_per_s=7)],
        settings={"load": {"temperature": 0.0, "model": {"ours": "mapped"}}},
    )
    found = stored.read([path], "ours")
    assert [run.throughput.output_tokens_per_s for run in found.runs] == [7]
    assert found.facts.model == "mapped"
    with pytest.raises(ConfigError, match="it has no arm 'new'; there are bare, ours"):
        stored.read([path], "new")


def test_results_of_other_tools_are_read(tmp_path):
    bare = stored.read([written(tmp_path / "vllm.json", SUMMARY)], "bare")
    guide = stored.read([written(tmp_path / "benchmarks.json", REPORT)], "guide")
    assert (bare.runs[0].arm, bare.runs[0].round) == ("bare", 1)
    assert bare.facts.model == "meta-llama/Llama-3.1-8B-Instruct"
    assert guide.facts.model == "org/model"
    notes = stored.notes([bare, guide])
    assert any(note.startswith("guidellm counts latencies from the sending") for note in notes)


def test_appended_results_are_rounds(tmp_path):
    path = tmp_path / "runs.json"
    path.write_text(json.dumps(SUMMARY) + "\n" + json.dumps(SUMMARY) + "\n")
    assert [run.round for run in stored.read([path], "bare").runs] == [1, 2]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "bad.json:1: not JSON"),
        ('{"a":\n 1,}', "bad.json:2: not JSON"),
        ("[1]", "it holds no JSON object"),
        ("{}", "neither a report of ours nor the result of `vllm bench serve"),
        ('{"benchmarks": []}', "it holds no run"),
        (json.dumps({**SUMMARY, "completed": "few"}), "bad.json: completed: "),
        ('{"schema_version": "anynode.bench/0"}', "bad.json: .*schema_version"),
    ],
)
def test_a_file_that_is_no_result_is_named(tmp_path, content, reason):
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=reason):
        stored.read([path], "ours")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.json"):
        stored.read([tmp_path / "none.json"], "ours")

"""The Markdown says everything that was found, and nothing that was not."""

from __future__ import annotations

import pytest

from inference.bench.report import markdown
from inference.bench.report.model import ClientReport, Report
from tests.inference.bench.report import sample


def section(report: Report, heading: str) -> str:
    """The body of one section; empty where there is none."""
    _, _, rest = markdown.render(report).partition(f"\n## {heading}\n\n")
    return rest.partition("\n\n## ")[0]


def test_a_sweep_begins_with_its_title_and_its_findings() -> None:
    lines = markdown.render(sample.sweep()).splitlines()
    assert lines[0] == "# How much anynode-demo bears"
    assert lines[2].startswith("**The knee is at concurrency 16: 696 output tokens/s, ")


def test_it_names_hardware_versions_and_server() -> None:
    text = markdown.render(sample.sweep())
    assert "- Client: AMD EPYC 9654, 16 cores, 64.0 GiB, Linux 6.8.0" in text
    assert "- Versions: Python 3.11.9, anynode 0.1.0, numpy 2.4.6, uvloop 0.22.1" in text
    assert "- Server: http://127.0.0.1:8000; anynode-demo; version 0.1.0, engine onnx" in text


def test_the_command_can_be_pasted() -> None:
    command = "anynode bench serve http://127.0.0.1:8000 --model 'a b'"
    assert section(sample.sweep(), "Command") == f"```sh\n{command}\n```\n"


def test_settings_are_listed() -> None:
    assert '| slo | ["ttft:200"] |' in section(sample.sweep(), "Settings")


def test_every_run_has_a_row() -> None:
    rows = section(sample.sweep(), "Runs").splitlines()[2:]
    assert [row.split(" | ")[0] for row in rows] == [
        f"| concurrency {load}" for load in (1, 4, 16, 32, 64)
    ]


def test_errors_are_listed_by_class_with_an_example() -> None:
    errors = section(sample.sweep(), "Errors")
    assert (
        "| concurrency 64 | http_5xx | 14 | 503 Service Unavailable: the queue is full |" in errors
    )
    assert "| concurrency 64 | timeout | 14 |" in errors


def test_nodes_show_only_what_was_measured() -> None:
    nodes = section(sample.sweep(), "Nodes")
    assert "| concurrency 1 | node-a | 71 %, at most 93 % | 12.5 GiB, at most 13.1 GiB |" in nodes
    assert "GPU" not in nodes
    assert section(sample.single(), "Nodes") == ""


def test_a_run_without_answers_says_so() -> None:
    report = sample.nothing_answered()
    text = markdown.render(report)
    assert "**No answers: none of 64 requests succeeded (connect 64).**" in text
    assert section(report, "Runs").splitlines()[2] == "| concurrency 8 | 0 | 64 | no answers |"


def test_a_run_without_answers_does_not_hide_the_others() -> None:
    report = sample.report([*sample.nothing_answered().runs, sample.run(16)])
    first, second = section(report, "Runs").splitlines()[2:]
    assert "| no answers | - |" in first
    assert "no answers" not in second
    assert second.startswith("| concurrency 16 | 48 | 0 |")


def test_an_interrupted_run_is_marked() -> None:
    text = markdown.render(sample.interrupted())
    assert "**Interrupted: only what was measured until then. " in text
    assert "| concurrency 16 (interrupted) |" in text


def test_a_client_that_stood_in_the_way_is_a_warning() -> None:
    text = markdown.render(sample.interrupted())
    assert f"\n\n**Warning: concurrency 16: {sample.OVERLOADED}**\n\n" in text


def test_the_client_shows_its_cost() -> None:
    client: ClientReport | None = sample.single().runs[0].client
    assert client is not None
    row = section(sample.single(), "Client").splitlines()[2]
    assert row == "| concurrency 8 | 1 | 8.1 % | 21.5 | 1,830 | 16 | 0.420 | 0.310 |"


def test_a_comparison_has_gates_ratios_and_parity() -> None:
    report = sample.compared()
    assert "**Verdict: fail. 2 gates over 3 rounds: 1 pass, 1 fail.**" in markdown.render(report)
    assert "| pass | 0.980 (0.976 to 0.984) |" in section(report, "Gates")
    assert "| ours / bare | 0.980 (0.976 to 0.984) | 95 % | 3 |" in section(report, "Ratios")
    assert "| model | same | anynode-demo |" in section(report, "Parity")


def test_arms_that_were_not_alike_are_a_warning() -> None:
    report = sample.compared()
    assert report.comparison is not None
    report.comparison.parity[0].ok = False
    report.comparison.parity[0].detail = "anynode-demo against llama"
    text = markdown.render(report)
    assert "**Warning: model: anynode-demo against llama**" in text
    assert "The arms were not alike: model." in text


def test_without_gates_there_is_no_verdict() -> None:
    report = sample.compared()
    assert report.comparison is not None
    report.comparison.gates = []
    report.comparison.verdict = "none"
    assert "**No gates were given: ours against bare over 3 rounds.**" in markdown.render(report)
    assert section(report, "Gates") == ""


def test_a_report_without_runs_is_a_report() -> None:
    assert "**No run was made.**" in markdown.render(sample.report([]))


def test_notes_say_how_tokens_were_counted() -> None:
    run = sample.run()
    tokens = run.tokens.model_copy(update={"per_event": 4.0, "counted_by": ["events", "server"]})
    notes = section(sample.report([run.model_copy(update={"tokens": tokens})]), "Notes")
    assert "ITL is the gap between events" in notes
    assert "counts as one token" in notes
    assert section(sample.single(), "Notes") == ""


@pytest.mark.parametrize("text", ["two\nlines", "a | b", "# no heading"])
def test_text_of_others_breaks_no_table(text: str) -> None:
    report = sample.sweep()
    report.runs[-1].requests.errors[0].example = text
    rows = section(report, "Errors").splitlines()
    assert len(rows) == 4
    assert {row.replace(r"\|", "").count("|") for row in rows} == {5}

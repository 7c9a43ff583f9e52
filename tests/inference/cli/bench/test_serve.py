"""`anynode bench serve` as its users run it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

from inference.bench.report import files
from tests.inference.bench import misbehaving as bad
from tests.inference.bench.misbehaving import GOOD, misbehaving
from tests.serving.http.live import echo, live

QUICK = ("--num-requests", 6, "--prompt-tokens", 8, "--output-tokens", 4, "--warmup", 1)


def test_a_closed_loop_is_reported_and_written(anynode, tmp_path):
    with live() as server:
        done = anynode("bench", "serve", server.url, *QUICK, "-o", tmp_path / "result")
    assert done.code == 0
    assert "concurrency 8" in done.out
    written = {path.suffix for path in tmp_path.iterdir()}
    assert written == {".json", ".md", ".csv", ".html"}
    report = files.read(tmp_path / "result.json")
    assert report.runs[0].requests.succeeded == 6
    assert report.settings["num_requests"] == 6
    assert report.command[:3] == ["anynode", "bench", "serve"]


@pytest.mark.parametrize(
    "options",
    [
        ("--route", "chat"),
        ("--route", "completions", "--no-stream"),
        ("--route", "generate"),
        ("--concurrency", 2, "--processes", 2),
        ("--request-rate", 200, "--arrivals", "constant"),
        ("--request-rate", 200, "--arrivals", "burst", "--burst-size", 3),
        ("--request-rate", 500, "--max-concurrency", 2),
        ("--prefix-tokens", 4, "--num-prefixes", 2),
        ("--slo", "ttft:1000", "--slo", "e2el:5000"),
        ("--extra-body", '{"top_k": 5}', "--temperature", 0.5),
        ("--gpus", 2, "--cores", 4),
    ],
)
def test_every_way_to_ask_works(anynode, options):
    with live() as server:
        done = anynode("bench", "serve", server.url, *QUICK, *options)
    assert done.code == 0, done.err
    assert "| 6 |" in done.out


def test_a_trace_is_replayed(anynode, tmp_path):
    trace = tmp_path / "trace.jsonl"
    entries = [{"at_s": n / 50, "prompt_tokens": 5 + n, "output_tokens": 3} for n in range(6)]
    trace.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    with live() as server:
        done = anynode("bench", "serve", server.url, "--trace", trace, "-o", tmp_path / "out")
    assert done.code == 0, done.err
    run = files.read(tmp_path / "out.json").runs[0]
    assert run.load.kind == "trace"
    assert run.requests.succeeded == 6


def test_a_dataset_is_asked(anynode, tmp_path):
    (tmp_path / "prompts.txt").write_text("one\ntwo\n")
    with misbehaving(bad.says_json({"data": [{"id": "m"}]}), *[bad.says(GOOD)]) as server:
        done = anynode(
            "bench", "serve", server.url, "--model", "m", *QUICK[:2], "--concurrency", 1,
            "--route", "completions", "--dataset", tmp_path / "prompts.txt", "--warmup", 0,
            "--output-tokens", 7,
        )  # fmt: skip
    assert done.code == 0, done.err
    asked = {json.loads(body)["prompt"] for head, body in server.requests if head[:4] == "POST"}
    assert asked == {"one", "two"}
    assert json.loads(server.requests[-1][1])["max_tokens"] == 7


def test_per_core_and_per_gpu_need_only_be_said(anynode):
    with live() as server:
        done = anynode("bench", "serve", server.url, *QUICK, "--gpus", 2)
    assert "GPU" in done.out


WRONG = {
    "nobody there": (("http://127.0.0.1:9",), "127.0.0.1:9"),
    "no URL": (("localhost",), "http://"),
    "an unknown model": (("{url}", "--model", "eco"), "echo"),
    "no tokenizer": (("{url}", "--tokenizer", "{tmp}/none"), "none"),
    "output in no folder": (("{url}", "-o", "{tmp}/none/x"), "--output"),
    "two kinds of load": (("{url}", "--concurrency", 1, "--request-rate", 2), "exclude"),
    "a cap for a closed loop": (("{url}", "--max-concurrency", 1), "--max-concurrency"),
    "no length": (("{url}", "--prompt-tokens", "many"), "--prompt-tokens"),
    "no objective": (("{url}", "--slo", "speed:1"), "--slo"),
    "nobody to count": (("{url}", "--route", "generate", "--no-stream"), "--tokenizer"),
    "no fact": (("{url}", "--fact", "workers"), "--fact"),
    "no JSON": (("{url}", "--extra-body", "{{"), "--extra-body"),
    "no header": (("{url}", "--header", "x"), "--header"),
    "no trace": (("{url}", "--trace", "{tmp}/none.jsonl"), "none.jsonl"),
    "no Prometheus": (("{url}", "--prometheus", "http://127.0.0.1:9"), "--prometheus"),
    "a burst of nothing": (("{url}", "--burst-size", 2), "--burst-size"),
    "arrivals of a closed loop": (("{url}", "--arrivals", "constant"), "--arrivals"),
    "the speed of no trace": (("{url}", "--trace-speed", 2), "--trace-speed"),
    "lengths of a dataset": (("{url}", "--dataset", "x.txt"), "--prompt-tokens"),
    "lengths of a trace": (("{url}", "--trace", "{trace}"), "--output-tokens"),
    "a rate of nothing": (("{url}", "--request-rate", 0), "rate"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_one_sentence(anynode, name, tmp_path):
    arguments, words = WRONG[name]
    trace = tmp_path / "trace.jsonl"
    trace.write_text('{"at_s": 0, "prompt_tokens": 1, "output_tokens": 1}')
    with live() as server:
        known = {"url": server.url, "tmp": tmp_path, "trace": trace}
        filled = [str(each).format(**known) for each in arguments]
        done = anynode("bench", "serve", *QUICK, *filled)
    assert done.code == 2
    assert words in done.err
    assert done.err.count("\n") <= 2, done.err
    assert "Traceback" not in done.err


def test_all_failing_is_a_report_and_not_a_crash(anynode):
    with misbehaving(bad.says_json({"data": [{"id": "m"}]}), bad.resets) as server:
        done = anynode("bench", "serve", server.url, "--model", "m", *QUICK)
    assert done.code == 0
    assert "disconnected" in done.out


def test_a_key_is_used_and_never_shown(anynode, monkeypatch, tmp_path):
    monkeypatch.setenv("ANYNODE_API_KEY", "sk-very-secret")
    with misbehaving(bad.says_json({"data": [{"id": "m"}]}), bad.says(GOOD)) as server:
        done = anynode(
            "bench", "serve", server.url, "--model", "m", *QUICK, "-o", tmp_path / "out",
            "--header", "X-Other: also-secret",
        )  # fmt: skip
    assert done.code == 0, done.err
    asked = [head for head, _ in server.requests if head.startswith("POST")]
    assert all("Bearer sk-very-secret" in head and "also-secret" in head for head in asked)
    shown = done.out + done.err + "".join(path.read_text() for path in tmp_path.iterdir())
    assert "very-secret" not in shown
    assert "also-secret" not in shown


def test_control_c_writes_what_was_measured(tmp_path):
    with live(echo(tokens_per_s=100)) as server:
        command = [
            *(sys.executable, "-m", "inference.cli.main", "bench", "serve", server.url),
            *("--duration", "600", "--output-tokens", "20", "-o", str(tmp_path / "out")),
        ]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        while server.face.num_running == 0:
            time.sleep(0.05)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    run = files.read(tmp_path / "out.json").runs[0]
    assert run.interrupted
    assert run.requests.succeeded >= 1
    assert "interrupted" in out


def test_facts_fill_the_tables_of_other_systems(anynode, tmp_path):
    facts = ("--fact", "provider=Here", "--fact", "workers=4")
    with live() as server:
        anynode("bench", "serve", server.url, *QUICK, *facts, "-o", tmp_path / "out")
        done = anynode(
            "bench", "report", tmp_path / "out.json", "-o", tmp_path / "out", "--template",
            "llamaedge",
        )  # fmt: skip
    assert done.code == 0, done.err
    (row,) = (tmp_path / "out.llamaedge.csv").read_text().splitlines()[1:]
    assert row.startswith("Here,")
    assert ",4,8," in row

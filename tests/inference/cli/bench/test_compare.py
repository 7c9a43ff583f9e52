"""`anynode bench compare` as its users run it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest
import yaml

from inference.bench.report import files
from tests.inference.bench.compare.foreign.test_vllm import SUMMARY
from tests.inference.bench.compare.samples import written
from tests.inference.bench.compare.test_servers import TINY
from tests.serving.http.live import echo, live

LOAD = {
    "route": "completions",
    "concurrency": 2,
    "num_requests": 4,
    "warmup_requests": 1,
    "prompt_tokens": "8",
    "output_tokens": "12",
}
OPTIONS = [
    word for name, each in LOAD.items() for word in (f"--{name.replace('_', '-')}", str(each))
]


def arms(**urls):
    return [word for name, url in urls.items() for word in ("--arm", f"{name}={url}")]


def tiny_arm(*options):
    return {"command": [sys.executable, TINY, "--port", "{port}", *map(str, options)]}


def comparison_file(folder, **content):
    """Of two commands, unless it is said otherwise."""
    load = {**LOAD, "stream": False, **content.pop("load", {})}
    whole = {"arms": {"bare": tiny_arm(), "ours": tiny_arm()}, "load": load, **content}
    path = folder / "compare.yaml"
    path.write_text(yaml.safe_dump(whole))
    return path


@pytest.fixture(scope="module")
def paces():
    """A slow and a fast replica of the same model."""
    with live(echo(tokens_per_s=300)) as slow, live(echo(tokens_per_s=3000)) as fast:
        yield {"slow": slow.url, "fast": fast.url}


@pytest.mark.parametrize(
    ("gate", "rounds", "verdict", "code"),
    [
        ("fast/slow tokens_per_s >= 1.5", 3, "pass", 0),
        ("slow/fast tokens_per_s >= 0.97 @ 2", 3, "fail", 1),
        ("fast/slow tokens_per_s >= 1.5", 2, "undecided", 3),
        ("fast - slow tpot_p50_ms <= -1", 3, "pass", 0),
        ("fast error_rate <= 0.01", 3, "pass", 0),
    ],
)
def test_the_exit_code_is_the_verdict(anynode, paces, tmp_path, gate, rounds, verdict, code):
    out = tmp_path / "out"
    done = anynode(
        *("bench", "compare", *arms(**paces), *OPTIONS),
        *("--rounds", rounds, "--gate", gate, "--must-match", "answers", "-o", out),
    )
    assert done.code == code, done.err
    assert gate in done.out
    report = files.read(tmp_path / "out.json")
    comparison = report.comparison
    assert comparison is not None
    assert comparison.verdict == verdict
    assert (comparison.arms, comparison.baseline) == (["slow", "fast"], "slow")
    assert {check.name: check.ok for check in comparison.parity} == dict.fromkeys(
        [
            *("model", "fields sent", "requests", "errors"),
            *("prompt tokens", "output tokens", "answers"),
        ],
        True,
    )
    assert [run.round for run in report.runs] == [n for n in range(1, rounds + 1) for _ in "ab"]
    assert [server.arm for server in report.servers] == ["slow", "fast"]


def test_without_gates_the_figures_are_all(anynode, paces):
    done = anynode("bench", "compare", *arms(**paces), *OPTIONS, "--rounds", 1)
    assert done.code == 0
    assert "fast / slow" in done.out


def test_arms_that_are_not_alike_are_shown_and_decide_nothing(anynode, paces):
    with live(model_id="other") as other:
        done = anynode(
            *("bench", "compare", *arms(slow=paces["slow"], other=other.url), *OPTIONS),
            *("--rounds", 3, "--gate", "other/slow tokens_per_s >= 0"),
        )
    assert done.code == 3
    assert "slow echo, other other" in done.out


def test_a_file_starts_and_stops_its_arms(anynode, tmp_path):
    starts = tmp_path / "starts"
    path = comparison_file(
        tmp_path,
        arms={"bare": {**tiny_arm("--starts", starts), "per_round": True}, "ours": tiny_arm()},
        rounds=3,
        load={"concurrency": [1, 2], "num_requests": {1: 2, 2: 4}},
        gates=["ours/bare requests_per_s >= 0.0001", "ours error_rate <= 0"],
    )
    done = anynode("bench", "compare", path, "-o", tmp_path / "out")
    assert done.code == 0, done.err
    assert len(starts.read_text().splitlines()) == 4
    report = files.read(tmp_path / "out.json")
    assert report.comparison is not None
    assert len(report.comparison.gates) == 4
    assert report.settings["load"]["output_tokens"] == "12"


def test_an_arm_that_dies_leaves_the_figures_of_the_others(anynode, tmp_path):
    path = comparison_file(
        tmp_path,
        arms={"well": tiny_arm(), "ill": tiny_arm("--die-after", 18)},
        rounds=4,
        gates=["ill/well requests_per_s >= 0.0001"],
    )
    done = anynode("bench", "compare", path)
    assert done.code == 3
    assert "ended with exit code 9 in the middle of a run" in done.out


def test_an_arm_that_never_gets_ready_is_one_sentence(anynode, tmp_path):
    path = comparison_file(tmp_path, arms={"well": tiny_arm(), "ill": tiny_arm("--fail")})
    done = anynode("bench", "compare", path)
    assert done.code == 2
    assert "arm 'ill' ended with exit code 1 before it was ready" in done.err
    assert "no such model" in done.err


def test_stored_results_are_compared(anynode, paces, tmp_path):
    anynode("bench", "compare", *arms(**paces), *OPTIONS, "--rounds", 3, "-o", tmp_path / "own")
    bare = written(tmp_path / "vllm.json", {**SUMMARY, "output_throughput": 1.0})
    done = anynode(
        *("bench", "compare", "--result", f"slow={tmp_path / 'own.json'}"),
        *("--result", f"fast={tmp_path / 'own.json'}"),
        *(word for _ in range(3) for word in ("--result", f"bare={bare}")),
        *("--baseline", "bare", "--gate", "slow/bare tokens_per_s >= 1"),
        *("-o", tmp_path / "out"),
    )
    assert done.code == 3  # other prompts, other models
    comparison = files.read(tmp_path / "out.json").comparison
    assert comparison is not None
    assert comparison.gates[0].verdict == "pass"
    assert comparison.rounds == 3
    assert "vllm bench serve counts latencies from the sending" in done.out


def test_ctrl_c_keeps_the_finished_runs(tmp_path):
    path = comparison_file(tmp_path, rounds=100_000, warmup_rounds=0)
    command = [sys.executable, "-m", "inference.cli.main", "bench", "compare", str(path)]
    process = subprocess.Popen(
        [*command, "-o", str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    finished = [process.stderr.readline() for _ in range(4)]
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 0, (finished, error)
    runs = files.read(tmp_path / "out.json").runs
    assert len([run for run in runs if not run.interrupted]) >= 4


def test_ctrl_c_before_anything_was_measured_says_so(tmp_path):
    path = comparison_file(
        tmp_path, arms={"a": tiny_arm("--starts", tmp_path / "a", "--never-ready"), "b": tiny_arm()}
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "inference.cli.main", "bench", "compare", str(path)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "a").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted before anything was measured" in error


GATE = ("--gate", "a/b tokens_per_s >= 1")
TWO = ("--arm", "a=http://h:1", "--arm", "b=http://h:2")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ((), "whom to compare? give a FILE, --arm NAME=URL or --result NAME=FILE"),
        (("--arm", "a=http://h:1"), "a comparison needs two at least"),
        (("--arm", "http://h"), "--arm: 'http://h' is not of the form NAME=URL"),
        (("--arm", "a=http://h", "--arm", "a=http://i"), "--arm: two have the same name"),
        (("--arm", "a=h", "--arm", "b=http://i"), "--arm: url: h: it must begin with http://"),
        ((*TWO, "--rounds", 0), "--rounds: Input should be greater than 0"),
        ((*TWO, "--baseline", "c"), "baseline: no arm is called 'c'; there are a, b"),
        ((*TWO, "--prompt-tokens", "x"), "--prompt-tokens: 'x' is no length"),
        ((*TWO, "--timeout", -1), "--timeout: Input should be greater than 0"),
        ((*TWO, "--concurrency", "1,x"), "--concurrency: "),
        ((*TWO, "--concurrency", "1", "--request-rate", "2"), "exclude each other"),
        ((*TWO, "--num-requests", "1:4"), "num_requests: it must name each load once: 8"),
        ((*TWO, "--slo", "ttft"), "--slo: 'ttft' is not NAME:MILLISECONDS"),
        ((*TWO, "--gate", "a/c tokens_per_s >= 1"), "--gate: no arm is called 'c'"),
        ((*TWO, *GATE, "--gate", "a fast"), "--gate: 'a fast' is no gate"),
        ((*TWO, "--gates", "none.txt"), "none.txt"),
        ((*TWO, "--gate", "a goodput > 1"), "goodput needs an objective"),
        ((*TWO, "--result", "a=x"), "--arm and --result exclude each other"),
        (("--result", "a=x"), "--result: a comparison needs two arms"),
        (("--result", "a=x", "--result", "b=y", "--seed", 3), "--seed: the runs of --result"),
        (("--result", "a=x", "--result", "b=y", "--rounds", 3), "--rounds: the runs of"),
        (("--result", "a=x", "--result", "b=y", "--header", "A: b"), "--header: the runs of"),
        (("--result", "a=x", "--result", "b=y"), "x cannot be read"),
        (("--result", "a=x", "--result", "b=y", "--baseline", "c"), "--baseline: no arm"),
        (("some.yaml", "--rounds", 3), "--rounds: it belongs into some.yaml"),
        (("some.yaml", "--must-match", "answers"), "--must-match: it belongs into some.yaml"),
        (("some.yaml",), "some.yaml"),
        (TWO, "nothing answers at http://h:1"),
    ],
)
def test_a_mistake_is_one_sentence_with_its_fix(anynode, options, reason):
    done = anynode("bench", "compare", *options)
    assert done.code == 2
    assert reason in done.err
    assert done.err.startswith("anynode: ")


def test_a_mistake_in_a_file_names_file_and_place(anynode, tmp_path):
    path = comparison_file(tmp_path, gates=["ours/bare tokens_per_s >= 1", "ours/bar x > 1"])
    done = anynode("bench", "compare", path)
    assert done.code == 2
    assert f"{path}: gates.1: there is no metric 'x'" in done.err


def test_keys_are_in_no_report(anynode, tmp_path):
    path = comparison_file(
        tmp_path,
        arms={"bare": {**tiny_arm(), "env": {"TOKEN": "very-secret"}}, "ours": tiny_arm()},
        rounds=1,
    )
    header = ("--header", "Authorization: Bearer very-secret")
    done = anynode("bench", "compare", path, *header, "-o", tmp_path / "out")
    assert done.code == 0, done.err
    for each in (tmp_path / "out").parent.glob("out.*"):
        assert "very-secret" not in each.read_text()
    assert json.loads((tmp_path / "out.json").read_text())["settings"]["arms"]["bare"]["env"] == [
        "TOKEN"
    ]

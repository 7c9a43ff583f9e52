"""`anynode bench sweep` as its users run it, and the decisions it makes."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.bench.knee import knee
from inference.bench.report import files
from inference.cli.bench.sweep import concurrencies, ending, parse_rates
from serving.errors import ConfigError
from tests.inference.bench import misbehaving as bad
from tests.inference.bench.misbehaving import GOOD, misbehaving
from tests.inference.bench.test_knee import run
from tests.serving.http.live import echo, live

QUICK = ("--prompt-tokens", 8, "--output-tokens", 8, "--num-requests", 12, "--warmup", 1)


def test_a_sweep_doubles_its_clients_and_tells_the_knee(anynode, tmp_path):
    with live(echo(tokens_per_s=400), max_num_seqs=2) as server:
        done = anynode(
            "bench", "sweep", server.url, *QUICK, "--max-concurrency", 16, "-o", tmp_path / "out"
        )
    assert done.code == 0, done.err
    report = files.read(tmp_path / "out.json")
    tried = [each.load.concurrency for each in report.runs]
    assert tried == concurrencies(16)[: len(tried)]
    assert len(tried) >= 3  # how many more is a matter of the machine's moods
    assert [each.requests.succeeded for each in report.runs] == [max(12, 2 * n) for n in tried]
    assert report.kind == "sweep"
    assert report.knee == knee(report.runs)
    assert report.notes == ending(report.runs)
    assert report.knee is not None
    assert report.knee.run in done.out


def test_the_highest_concurrency_can_be_set(anynode, tmp_path):
    with live(echo(tokens_per_s=200), max_num_seqs=8) as server:
        done = anynode(
            "bench", "sweep", server.url, *QUICK, "--max-concurrency", 2, "-o", tmp_path / "out"
        )
    assert done.code == 0, done.err
    report = files.read(tmp_path / "out.json")
    assert [each.name for each in report.runs] == ["concurrency 1", "concurrency 2"]
    assert report.notes == [
        "concurrency 2 was the highest load, and not too much: the knee may lie beyond."
    ]


def test_rates_are_an_open_loop_each(anynode, tmp_path):
    with live() as server:
        done = anynode(
            "bench", "sweep", server.url, *QUICK, "--rates", "100,50", "--arrivals", "constant",
            "--max-concurrency", 3, "--duration", 10, "-o", tmp_path / "out",
        )  # fmt: skip
    assert done.code == 0, done.err
    report = files.read(tmp_path / "out.json")
    assert [each.name for each in report.runs] == ["50 requests/s", "100 requests/s"]
    loads = [each.load for each in report.runs]
    assert [(load.kind, load.request_rate, load.concurrency) for load in loads] == [
        ("constant", 50, 3),
        ("constant", 100, 3),
    ]


def test_an_objective_that_no_load_meets_ends_a_sweep_at_once(anynode, tmp_path):
    with live(echo(first_token_ms=20)) as server:
        done = anynode(
            "bench", "sweep", server.url, *QUICK, "--slo", "ttft:1", "-o", tmp_path / "out"
        )
    assert done.code == 0, done.err
    report = files.read(tmp_path / "out.json")
    assert report.knee is None
    assert len(report.runs) == 1
    assert report.notes == [
        "The sweep ended at concurrency 1: only 0% of the requests met the objectives."
    ]


def test_a_server_that_refuses_ends_a_sweep(anynode, tmp_path):
    with live(echo(tokens_per_s=200), max_num_seqs=2, max_queued_requests=0) as server:
        done = anynode("bench", "sweep", server.url, *QUICK, "-o", tmp_path / "out")
    assert done.code == 0, done.err
    report = files.read(tmp_path / "out.json")
    assert len(report.runs) <= 3
    assert [error.kind for error in report.runs[-1].requests.errors] == ["http_429"]
    assert report.notes[0].endswith("of the requests failed.")


def test_each_load_asks_what_no_load_asked_before(anynode):
    with misbehaving(bad.says(GOOD)) as server:
        done = anynode(
            "bench", "sweep", server.url, "--model", "m", "--num-requests", 2, "--warmup", 0,
            "--max-concurrency", 2,
        )  # fmt: skip
    assert done.code == 0, done.err
    asked = [body for head, body in server.requests if head.startswith("POST")]
    assert len(asked) == len(set(asked)) == 2 + 4


def test_control_c_keeps_the_loads_that_were_tried(anynode, tmp_path):
    with live(echo(tokens_per_s=100)) as server:

        def interrupt() -> None:
            while server.face.num_running < 2:  # the second load has begun
                time.sleep(0.01)
            time.sleep(0.3)
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        done = anynode(
            "bench", "sweep", server.url, *QUICK[:4], "--duration", 1, "--warmup", 0,
            "-o", tmp_path / "out",
        )  # fmt: skip
        thread.join()
    assert done.code == 0, done.err
    report = files.read(tmp_path / "out.json")
    assert [each.interrupted for each in report.runs] == [False, True]
    assert report.notes == []


WRONG = {
    "no rates": (("--rates", "fast"), "--rates: 'fast' is no rate"),
    "a rate of nothing": (("--rates", "1,0"), "--rates: '0' is no rate"),
    "arrivals of a closed loop": (("--arrivals", "poisson"), "--arrivals: it is for --rates"),
    "no Prometheus": (("--prometheus", "http://127.0.0.1:9"), "--prometheus: nothing answers"),
    "output in no folder": (("-o", "{tmp}/none/x"), "--output"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_one_sentence_before_anything_is_asked(anynode, name, tmp_path):
    options, words = WRONG[name]
    filled = [str(each).format(tmp=tmp_path) for each in options]
    done = anynode("bench", "sweep", "http://127.0.0.1:9", *QUICK, *filled)
    assert done.code == 2
    assert words in done.err
    assert "Traceback" not in done.err


@given(st.integers(1, 5000))
def test_concurrencies_double_until_the_last(most: int):
    found = concurrencies(most)
    assert found[0] == 1
    assert found[-1] == most
    assert all(a < b <= 2 * a for a, b in itertools.pairwise(found))


def test_rates_are_sorted_and_tried_once():
    assert parse_rates("4, 1,2.5,4") == [1, 2.5, 4]


@pytest.mark.parametrize("text", ["", "1,", "nan", "inf", "-1", "1;2"])
def test_what_is_no_rate_is_refused(text: str):
    with pytest.raises(ConfigError, match=r"--rates: .* such as 1,2,4"):
        parse_rates(text)


def test_the_ending_is_explained_unless_it_was_ours():
    assert ending([run(1, 10, failed=50)]) == [
        "The sweep ended at concurrency 1: 50.0% of the requests failed."
    ]
    assert ending([run(1, 10, interrupted=True)]) == []

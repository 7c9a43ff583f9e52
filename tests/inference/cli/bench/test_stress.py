"""`anynode bench stress` as its users run it."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.bench.report import files
from inference.cli.bench.stress import LONGEST_RUN_S, loads
from tests.serving.http.live import MODEL, echo, live


def test_clients_chat_for_the_time_given(anynode, tmp_path):
    with live(echo(tokens_per_s=500)) as server:
        done = anynode(
            "bench", "stress", server.url, 3, "--duration", 0.5, "--output-tokens", 5,
            "-o", tmp_path / "out",
        )  # fmt: skip
    assert done.code == 0, done.err
    report = files.read(tmp_path / "out.json")
    (run,) = report.runs
    assert report.kind == "stress"
    assert (run.name, run.load.concurrency) == ("concurrency 3", 3)
    assert run.requests.succeeded >= 3
    assert run.requests.failed == 0
    assert run.tokens.output == 5 * run.requests.succeeded
    assert run.ttft_ms is not None
    assert report.settings["concurrency"] == 3
    assert report.settings["output_tokens"] == 5


def test_control_c_ends_it_with_a_report(anynode, tmp_path):
    with live(echo(tokens_per_s=200)) as server:

        def interrupt() -> None:
            while server.face.num_running == 0:
                time.sleep(0.01)
            time.sleep(0.5)
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        done = anynode(
            "bench", "stress", server.url, 2, "--output-tokens", 4, "-o", tmp_path / "out"
        )
        thread.join()
    assert done.code == 0, done.err
    (run,) = files.read(tmp_path / "out.json").runs
    assert run.interrupted
    assert run.requests.succeeded >= 1


def test_requests_that_are_refused_are_counted_and_it_goes_on(anynode, tmp_path):
    with live(echo(tokens_per_s=100), max_num_seqs=1, max_queued_requests=0) as server:
        done = anynode(
            "bench", "stress", server.url, 4, "--duration", 0.6, "--output-tokens", 4,
            "-o", tmp_path / "out",
        )  # fmt: skip
    assert done.code == 0, done.err
    (run,) = files.read(tmp_path / "out.json").runs
    assert [error.kind for error in run.requests.errors] == ["http_429"]
    assert run.requests.succeeded > 1
    assert run.requests.failed > 1
    assert run.duration_s >= 0.5


def test_two_servers_take_turns(anynode, tmp_path):
    with live(other_names=("both",)) as one, live(other_names=("both",)) as two:
        done = anynode(
            "bench", "stress", one.url, two.url, 2, "--duration", 0.3, "--model", MODEL,
            "-o", tmp_path / "out",
        )  # fmt: skip
        seen = [each.face.num_running for each in (one, two)]
    assert done.code == 0, done.err
    assert seen == [0, 0]
    assert files.read(tmp_path / "out.json").runs[0].requests.failed == 0


WRONG = {
    "no clients": ("0",),
    "no number": ("many",),
    "an unknown model": ("1", "--model", "eco"),
    "no time": ("1", "--duration", "0"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_refused(anynode, name):
    with live() as server:
        done = anynode("bench", "stress", server.url, *WRONG[name])
    assert done.code == 2
    assert "Traceback" not in done.err


@given(st.floats(0.001, 1e5))
def test_the_runs_are_together_as_long_as_asked(whole_s: float):
    found = [load.duration_s for load in loads(3, whole_s)]
    assert sum(found) == pytest.approx(whole_s)
    assert all(0 < each <= LONGEST_RUN_S for each in found)


def test_without_a_duration_there_is_always_another_run():
    assert [load.duration_s for load in itertools.islice(loads(3, None), 5)] == [LONGEST_RUN_S] * 5

"""Whole runs against real servers: the figures are right, and every end keeps what was measured."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from bench.servers import wait_until_it_answers
from inference.bench.arrivals import Constant
from inference.bench.plan import Interrupt, Load
from inference.bench.runner import overload, run
from inference.local.ports import free_port
from serving.errors import ConfigError
from tests.inference.bench import misbehaving as bad
from tests.inference.bench.client.asking import Numbered, plan
from tests.inference.bench.misbehaving import GOOD, misbehaving
from tests.serving.http.live import echo, live

FIRST_TOKEN_MS = 60
TOKENS_PER_S = 50
GAP_MS = 1000 / TOKENS_PER_S


def close(measured_ms: float, known_ms: float) -> bool:
    """Within 1 ms and 2 %."""
    return abs(measured_ms - known_ms) <= 1 + 0.02 * known_ms


@contextmanager
def paced_echo(tokens_per_s: float = TOKENS_PER_S) -> Iterator[str]:
    """A replica in a process of its own: in ours it would take turns with the client."""
    port = free_port()
    command = [sys.executable, "-m", "bench.echo_replica", str(port)]
    with subprocess.Popen([*command, str(tokens_per_s), str(FIRST_TOKEN_MS)]) as process:
        try:
            wait_until_it_answers(process, port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def test_timestamps_are_those_of_a_server_with_a_known_pace():
    """Other work on the machine is in the figures too: the best of a few runs must be right."""
    load = Load(concurrency=4, num_requests=8, warmup_requests=4)
    with paced_echo() as url:
        for _ in range(8):
            report = run(plan(url, load, prompts=Numbered(max_tokens=20)))
            ttft, itl, tpot = report.ttft_ms, report.itl_ms, report.tpot_ms
            assert ttft and itl and tpot
            measured = [(ttft.p50, FIRST_TOKEN_MS), (itl.mean, GAP_MS), (tpot.p50, GAP_MS)]
            if all(close(*pair) for pair in measured):
                return
    pytest.fail(f"measured and known: {measured}")


def test_one_process_holds_two_thousand_streams_at_once():
    load = Load(concurrency=2000, num_requests=2000)
    with paced_echo(tokens_per_s=1.0) as url:  # nobody is done before the last one has begun
        report = run(plan(url, load, prompts=Numbered(max_tokens=4)))
    assert report.requests.succeeded == 2000
    assert report.client is not None
    assert report.client.peak_in_flight == 2000


@pytest.mark.parametrize("processes", [1, 2])
def test_a_closed_loop_counts_everything_once(processes):
    load = Load(concurrency=4, num_requests=21, warmup_requests=3)
    with live(max_num_seqs=8) as server:
        report = run(plan(server.url, load, processes=processes))
    assert (report.requests.sent, report.requests.succeeded, report.requests.failed) == (21, 21, 0)
    assert (report.tokens.prompt, report.tokens.output) == (21 * 20, 21 * 10)
    assert report.throughput.output_tokens_per_s == pytest.approx(210 / report.duration_s)
    assert sum(second.completed for second in report.timeline) == 21
    assert sum(second.output_tokens for second in report.timeline) == pytest.approx(210)
    assert report.client is not None
    assert report.client.processes == processes
    assert report.client.cpu_us_per_event is not None


def test_the_same_requests_have_the_same_answers_however_many_processes_ask():
    digests = set()
    with live(max_num_seqs=8) as server:
        for processes in (1, 2):
            load = Load(concurrency=2, num_requests=6)
            report = run(plan(server.url, load, processes=processes))
            digests.add(report.answers_digest)
    assert len(digests) == 1


def test_an_open_loop_asks_at_its_rate():
    load = Load(arrivals=Constant(100), num_requests=50)
    with live(max_num_seqs=64) as server:
        report = run(plan(server.url, load))
    assert report.requests.succeeded == 50
    assert report.duration_s >= 0.49
    assert report.load.kind == "constant"


def test_a_duration_ends_a_run():
    load = Load(concurrency=2, duration_s=0.3)
    with live(echo(tokens_per_s=200), max_num_seqs=2) as server:
        report = run(plan(server.url, load))
    assert report.requests.succeeded >= 2
    assert not report.interrupted


@pytest.mark.parametrize("processes", [1, 2])
def test_an_interrupt_keeps_what_was_measured(processes):
    interrupt = Interrupt()
    load = Load(concurrency=4)  # for ever

    def soon(snapshot):
        if snapshot.succeeded >= 8:
            interrupt.requested = True

    with live(echo(tokens_per_s=100), max_num_seqs=4) as server:
        asked = plan(server.url, load, prompts=Numbered(max_tokens=15), processes=processes)
        report = run(asked, interrupt=interrupt, progress=soon)
    assert report.interrupted
    assert report.requests.succeeded >= 8
    assert report.requests.failed == 0
    assert report.requests.sent == report.requests.succeeded + report.requests.interrupted


def test_failures_are_counted_and_the_run_goes_on():
    behaviours = [bad.resets, bad.says(GOOD), bad.says(b"?"), bad.stays_silent, bad.says(GOOD)]
    load = Load(concurrency=1, num_requests=10)
    with misbehaving(*behaviours) as server:
        report = run(plan(server.url, load, timeout_s=0.3))
    assert (report.requests.succeeded, report.requests.failed) == (7, 3)
    assert report.requests.error_rate == pytest.approx(0.3)
    kinds = {error.kind: error.count for error in report.requests.errors}
    assert kinds == {"disconnected": 1, "malformed": 1, "timeout": 1}


def test_a_server_that_dies_in_the_middle_leaves_what_came_before():
    with live(echo(tokens_per_s=100), max_num_seqs=4, max_queued_requests=16) as server:
        engine, loop = server.engine, server.loop

        def die() -> None:
            time.sleep(0.5)
            loop.call_soon_threadsafe(lambda: loop.create_task(engine.unload()))

        killer = threading.Thread(target=die)
        killer.start()
        report = run(plan(server.url, Load(concurrency=4, num_requests=40)))
        killer.join()
    assert report.requests.succeeded >= 4
    assert report.requests.failed >= 1
    assert report.requests.succeeded + report.requests.failed == 40


def test_when_nothing_is_answered_there_is_a_report_all_the_same():
    with misbehaving(bad.resets) as server:
        report = run(plan(server.url, Load(concurrency=2, num_requests=4)))
    assert report.requests.error_rate == 1.0
    assert report.ttft_ms is None
    assert report.throughput.output_tokens_per_s == 0


@pytest.mark.parametrize("processes", [1, 2])
def test_a_tokenizer_that_is_not_there_is_said_before_anything_is_asked(processes, tmp_path):
    with misbehaving(bad.says(GOOD)) as server:
        asked = plan(
            server.url,
            Load(num_requests=1),
            tokenizer=str(tmp_path / "nowhere"),
            processes=processes,
        )
        with pytest.raises(ConfigError, match="nowhere"):
            run(asked)
        assert server.requests == []


def test_a_client_in_its_own_way_says_so():
    assert overload(0.2, 1.0) is None
    assert "--processes" in (overload(0.97, 1.0) or "")
    assert "late" in (overload(0.2, 50.0) or "")


def test_a_wall_clock_that_is_set_back_changes_no_figure(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    with live(echo(tokens_per_s=100), max_num_seqs=4) as server:
        report = run(plan(server.url, Load(concurrency=2, num_requests=4)))
    assert report.requests.succeeded == 4
    assert report.e2el_ms is not None
    assert 80 <= report.e2el_ms.min <= report.e2el_ms.max < 5000


def test_a_run_starts_when_its_load_does_not_its_warm_up():
    load = Load(concurrency=1, num_requests=1, warmup_requests=3)
    before = datetime.now(UTC)
    with live(echo(tokens_per_s=50), max_num_seqs=1) as server:
        report = run(plan(server.url, load))
    assert (report.started_at - before).total_seconds() >= 3 * 9 / 50

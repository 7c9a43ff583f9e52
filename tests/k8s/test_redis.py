"""Redis as k8s/redis starts it: nobody without the password, nothing lost when it is killed."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from inference.local.ports import free_port
from tests.k8s.kustomize import ROOT

PASSWORD = "of the test"

pytestmark = pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="redis is not installed (apt install redis)"
)


@contextmanager
def running(folder: Path, port: int) -> Iterator[None]:
    """The manifest's own arguments, but for the folder and the port; killed at the end."""
    objects = yaml.safe_load((ROOT / "redis/stateful-set.yaml").read_text())
    args = objects["spec"]["template"]["spec"]["containers"][0]["args"]
    places = {"$(REDIS_PASSWORD)": PASSWORD, "/data": str(folder)}
    command = ["redis-server", *(places.get(each, each) for each in args)]
    server = subprocess.Popen(
        [*command, "--port", str(port), "--bind", "127.0.0.1"], stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 20
        while ask(port, "ping") != "PONG":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield
    finally:
        server.kill()
        server.wait(10)


def ask(port: int, *words: str, password: str | None = PASSWORD) -> str:
    login = [] if password is None else ["--no-auth-warning", "-a", password]
    command = ["redis-cli", "-p", str(port), *login, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def test_it_keeps_what_it_was_told_when_it_is_killed(tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path, port):
        assert ask(port, "set", "actor", "alive") == "OK"
        time.sleep(1.5)  # everysec
    with running(tmp_path, port):
        assert ask(port, "get", "actor") == "alive"


def test_it_tells_nobody_without_the_password(tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path, port):
        assert "NOAUTH" in ask(port, "get", "actor", password=None)

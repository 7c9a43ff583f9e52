"""`anynode serve` as its users run it: a process of its own, with a home of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import httpx
import psutil

from inference.local.ports import free_port

ROOT = Path(__file__).parents[2]
START_S = 120.0  # a busy machine in CI is slow
STOP_S = 10.0  # promised to whoever presses Ctrl-C


class Running:
    """One `anynode serve`; leaving the context stops it, whatever state it is in."""

    def __init__(self, arguments: tuple[str, ...], home: Path, environment: dict[str, str]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = home / "output.txt"
        command = [sys.executable, "-m", "inference.cli.main", "serve", *arguments]
        inherited = {key: value for key, value in os.environ.items() if "ANYNODE" not in key}
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port)],
                cwd=ROOT,
                env={**inherited, "HOME": str(home), "PYTHONPATH": str(ROOT), **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.stop(signal.SIGTERM)

    @property
    def output(self) -> str:
        """All it has printed so far."""
        return self._log.read_text()

    def wait_until_ready(self, patience_s: float = START_S) -> None:
        """Return when it has said so."""
        deadline = time.monotonic() + patience_s
        while "Ready after" not in self.output:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.05)

    def wait_until(self, condition: Callable[[], bool], patience_s: float = START_S) -> None:
        """Return when it holds; what it printed is said if that takes too long."""
        deadline = time.monotonic() + patience_s
        while not condition():
            assert time.monotonic() < deadline, self.output
            time.sleep(0.05)

    def stop(self, number: int) -> float:
        """Send a signal and wait for the end; the seconds it took."""
        began = time.monotonic()
        self.process.send_signal(number)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        return time.monotonic() - began

    def tree(self) -> list[psutil.Process]:
        """It and all its descendants."""
        root = psutil.Process(self.process.pid)
        return [root, *root.children(recursive=True)]

    def called(self, word: str) -> list[psutil.Process]:
        """Those of them whose command line holds `word`."""
        return [each for each in self.tree() if word in command_line(each)]

    def folder(self) -> Path:
        """The private folder of its Ray."""
        driver = next(each for each in self.tree() if "inference.local.driver" in each.cmdline())
        return Path(driver.cmdline()[-2]).parent

    def listening(self) -> list[tuple[str, int]]:
        """Every address any of its processes listens on."""
        return [address for process in self.tree() for address in listening(process)]

    def health(self, prefix: str = "") -> dict[str, object]:
        """What an application says of itself."""
        answer: dict[str, object] = httpx.get(f"{self.url}{prefix}/health").json()
        return answer


@contextmanager
def answering(*arguments: str, home: Path, **environment: str) -> Iterator[Running]:
    """`anynode serve` with these arguments, from when it is ready to the end of the block."""
    with Running(arguments, home, environment) as server:
        server.wait_until_ready()
        yield server


def wait_until(condition: Callable[[], bool], *, patience_s: float = 20.0) -> None:
    """Return when it holds; it must before long."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def listening(process: psutil.Process) -> list[tuple[str, int]]:
    """The addresses a process listens on; none if it has ended meanwhile."""
    try:
        connections = process.net_connections(kind="inet")
    except psutil.NoSuchProcess:
        return []
    listens = [each for each in connections if each.status == psutil.CONN_LISTEN]
    return [(each.laddr.ip, each.laddr.port) for each in listens]


def command_line(process: psutil.Process) -> str:
    """As it was started; empty if it has ended meanwhile."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def answers(port: int) -> bool:
    """Whether somebody listens there: a port that only lingers in TIME_WAIT is not in use."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def left_behind(processes: list[psutil.Process], ports: list[int], folder: Path) -> list[str]:
    """What should be gone and is not."""
    alive = [
        f"process {each.pid} {command_line(each)[:80]}"
        for each in processes
        if each.is_running() and each.status() != psutil.STATUS_ZOMBIE
    ]
    busy = [f"port {port}" for port in ports if answers(port)]
    return [*alive, *busy, *([f"folder {folder}"] if folder.exists() else [])]

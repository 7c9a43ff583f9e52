"""`anynode serve` as its users run it: a process of its own, with a home of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

import httpx
import psutil

from inference.local.ports import free_ports, is_free

ROOT = Path(__file__).parents[2]
START_S = 120.0  # a busy machine in CI is slow
STOP_S = 10.0  # promised to whoever presses Ctrl-C


class Running:
    """One `anynode serve`; leaving the context stops it, whatever state it is in."""

    def __init__(self, arguments: tuple[str, ...], home: Path, environment: dict[str, str]) -> None:
        (self.port,) = free_ports(1)
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

    def wait_until_ready(self) -> None:
        """Return when it has said so."""
        deadline = time.monotonic() + START_S
        while "Ready after" not in self.output:
            assert self.process.poll() is None, self.output
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

    def folder(self) -> Path:
        """The private folder of its Ray."""
        commands = [each.cmdline() for each in self.tree()]
        plans = [word for command in commands for word in command if word.endswith("/plan.json")]
        return Path(plans[0]).parent

    def listening(self) -> list[tuple[str, int]]:
        """Every address any of its processes listens on."""
        return [
            (connection.laddr.ip, connection.laddr.port)
            for process in self.tree()
            for connection in process.net_connections(kind="inet")
            if connection.status == psutil.CONN_LISTEN
        ]

    def health(self, prefix: str = "") -> dict[str, object]:
        """What an application says of itself."""
        answer: dict[str, object] = httpx.get(f"{self.url}{prefix}/health").json()
        return answer


def left_behind(processes: list[psutil.Process], ports: list[int], folder: Path) -> list[str]:
    """What should be gone and is not."""
    alive = [
        f"process {each.pid} {' '.join(each.cmdline())[:80]}"
        for each in processes
        if each.is_running() and each.status() != psutil.STATUS_ZOMBIE
    ]
    busy = [f"port {port}" for port in ports if not is_free("0.0.0.0", port)]
    return [*alive, *busy, *([f"folder {folder}"] if folder.exists() else [])]

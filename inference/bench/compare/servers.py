"""Arms that we start: each in a process group of its own, always stopped, its output kept."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import httpx

from inference.bench.client.urls import base_url
from inference.bench.compare import pause
from inference.bench.compare.arms import Arm
from inference.bench.plan import Interrupt
from inference.local.ports import free_port
from serving.errors import ConfigError

GRACE_S = 20.0  # between SIGTERM and SIGKILL; an engine has GPUs and shared memory to give back
POLL_S = 0.05
REST_S = 5.0  # before a pause: a proxy may still be taking in a replica that has just come
SETTLE_S = 1.0  # after a pause: every timer that came due meanwhile fires at once
PROBE_TIMEOUT_S = 2.0
TAIL_LINES = 15
TAIL_BYTES = 16_384


class StartInterrupted(Exception):
    """Told to stop while a server was starting."""


@contextmanager
def started(arm: Arm) -> Iterator[Server]:
    """The arm's command on a free port; leaving the context ends its process group.

    Raises ConfigError for a command that cannot be run.
    """
    with tempfile.TemporaryFile("a+b") as output:  # appending: see `tail`
        server = Server(arm.on_port(free_port()), output)
        try:
            yield server
        finally:
            server.stop()


class Server:
    """One running command, in a process group of its own."""

    def __init__(self, arm: Arm, output: IO[bytes]) -> None:
        self.arm = arm
        self._output = output
        self._paused = False
        self._awake_since_s = time.monotonic()
        try:
            self._process = subprocess.Popen(
                arm.command,
                env={**os.environ, **arm.env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise ConfigError(
                f"arm '{arm.name}': {arm.command[0]}: {error.strerror}; is it installed?"
            ) from error

    def wait_ready(self, interrupt: Interrupt) -> None:
        """Until its ready path answers 2xx.

        Raises ConfigError with the end of its output if it ends first or takes too long, and
        StartInterrupted if `interrupt` was requested.
        """
        deadline = time.monotonic() + self.arm.start_timeout_s
        ready_url = base_url(self.arm.url) + self.arm.ready
        with httpx.Client(timeout=PROBE_TIMEOUT_S, trust_env=False) as client:
            while not _is_ready(client, ready_url):
                if interrupt.requested:
                    raise StartInterrupted
                if (death := self.death()) is not None:
                    raise ConfigError(
                        f"arm '{self.arm.name}' {death} before it was ready{self.tail()}"
                    )
                if time.monotonic() > deadline:
                    raise ConfigError(
                        f"arm '{self.arm.name}' was not ready after "
                        f"{self.arm.start_timeout_s:g} s: {ready_url} gives no 200; "
                        f"raise start_timeout_s if it needs longer{self.tail()}"
                    )
                time.sleep(POLL_S)
        self._awake_since_s = time.monotonic()

    def death(self) -> str | None:
        """How it ended, in words; None while it runs. Does not reap it: see `stop`."""
        if self._process.returncode is not None:
            return "was stopped"
        ended = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        if ended is None:
            return None
        if ended.si_code == os.CLD_EXITED:
            return f"ended with exit code {ended.si_status}"
        return f"was ended by signal {ended.si_status}"

    def tail(self) -> str:
        """The end of its output, to be put behind an error."""
        size = os.fstat(self._output.fileno()).st_size
        # The child shares our place in the file, so we read without one.
        read = os.pread(self._output.fileno(), TAIL_BYTES, max(0, size - TAIL_BYTES))
        lines = read.decode(errors="replace").splitlines()[-TAIL_LINES:]
        shown = "\n".join(f"  {line}" for line in lines)
        return f"; its output ended with:\n{shown}" if shown else "; it printed nothing"

    def pause(self) -> None:
        """It and all that it started stand still, and stay in memory. Twice is safe."""
        if not self._paused and self.death() is None:
            time.sleep(max(0.0, self._awake_since_s + REST_S - time.monotonic()))
            pause.pause(self._process.pid)
            self._paused = True

    def resume(self) -> None:
        """It goes on, and has come to rest when this returns. Twice is safe."""
        if self._paused:
            self._wake()
            time.sleep(SETTLE_S)

    def _wake(self) -> None:
        pause.resume(self._process.pid)
        self._paused = False
        self._awake_since_s = time.monotonic()

    def stop(self) -> None:
        """SIGTERM to the process, SIGKILL to what is left of its group. Twice is safe."""
        if self._process.returncode is not None:
            return
        if self._paused:  # who stands still hears no SIGTERM
            self._wake()
        # Its zombie keeps the group's number ours until the very end, so we kill no stranger.
        if self.death() is None:
            os.kill(self._process.pid, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_S
        try:
            while self.death() is None and time.monotonic() < deadline:
                time.sleep(POLL_S)
        finally:  # a second Ctrl-C ends the patience, not the duty
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def _is_ready(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url).is_success
    except httpx.TransportError:
        return False

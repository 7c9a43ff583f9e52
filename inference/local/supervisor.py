"""Starts the driver, listens to it, and leaves nothing behind: no process, no port, no folder.

The supervisor adopts every orphan of the processes it starts, so that even what Ray itself lost
sight of is found below it and ended. It knows nothing of Ray.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from inference.local import environment, preflight, processes
from inference.local.config import LocalConfig

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STOP_S = 7.0  # for the driver to end by itself
TICK_S = 0.25
LOG_LINES = 8


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened: kind is `stage`, `ready`, `failed`, `tick` or `stop`."""

    kind: str
    text: str = ""


class StopSignals:
    """Ctrl-C, SIGTERM and a terminal that hangs up, as a file descriptor to wait on.

    While the context is open they no longer interrupt anything. A signal the caller had ignored
    (nohup) stays ignored.
    """

    def __enter__(self) -> StopSignals:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._former = {
            number: signal.signal(number, lambda *_: None)
            for number in STOP_SIGNALS
            if signal.getsignal(number) is not signal.SIG_IGN
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._read)
        os.close(self._write)

    def fileno(self) -> int:
        return self._read

    def arrived(self) -> bool:
        """Whether one came since the last call."""
        with contextlib.suppress(BlockingIOError):
            numbers = os.read(self._read, 64)
            if signal.SIGHUP in numbers:
                _leave_terminal()
            return any(number in STOP_SIGNALS for number in numbers)
        return False


def _leave_terminal() -> None:
    """Writing to a terminal that is gone fails; what is still to be said goes nowhere."""
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
        os.dup2(nowhere.fileno(), sys.stderr.fileno())


class Supervisor:
    """One private Ray with Serve. Use as a context manager; leaving it ends everything."""

    def __init__(self, config: LocalConfig, signals: StopSignals, *, verbose: bool = False) -> None:
        self._config = config
        self._signals = signals
        self._verbose = verbose
        self._ready = False

    def __enter__(self) -> Supervisor:
        processes.adopt_orphans()
        # In /tmp whatever TMPDIR says: paths of Unix sockets below it must stay under 108 bytes.
        self._folder = Path(tempfile.mkdtemp(prefix="anynode-", dir="/tmp"))
        try:
            self._start()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        self._remove()

    def events(self) -> Iterator[Event]:
        """What the driver says, and a tick now and then, until a stop signal or the driver's end.

        The last event is `stop` after a signal and `failed` in all other cases.
        """
        buffer = b""
        while True:
            waiting_for = [self._signals.fileno(), self._events]
            ready, _, _ = select.select(waiting_for, [], [], TICK_S)
            if self._signals.arrived():
                yield Event("stop")
                return
            if self._events not in ready:
                yield Event("tick")
                continue
            received = os.read(self._events, 65536)
            if not received:
                yield Event("failed", f"Ray ended unexpectedly\n{self.log_tail()}")
                return
            *lines, buffer = (buffer + received).split(b"\n")
            for line in lines:
                said = json.loads(line)
                self._ready |= said["event"] == "ready"
                yield Event(said["event"], said["text"])

    def log_tail(self) -> str:
        """The last lines the driver wrote, for a failure nobody can explain."""
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        return "\n".join(lines[-LOG_LINES:])

    @property
    def _log(self) -> Path:
        return self._folder / "driver.log"

    def _start(self) -> None:
        plan = self._folder / "plan.json"
        plan.write_text(json.dumps(self._plan()))
        self._events, events = os.pipe()
        with contextlib.ExitStack() as stack:
            stack.callback(os.close, events)
            output = None if self._verbose else stack.enter_context(self._log.open("wb"))
            self._driver = subprocess.Popen(
                [sys.executable, "-m", "inference.local.driver", str(plan), str(events)],
                env=environment.private_ray(os.environ, self._folder, self._config.proxy),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[events],
                start_new_session=True,
            )

    def _plan(self) -> dict[str, object]:
        return {
            "folder": str(self._folder),
            "supervisor_pid": os.getpid(),
            "serve": self._config.serve,
            "host": self._config.host,
            "port": self._config.port,
            "health_urls": self._config.health_urls(),
            "num_cpus": preflight.num_cpus(),
            "verbose": self._verbose,
        }

    def _stop(self) -> None:
        """End the driver and all that is left: at once before it was ready or if asked again."""
        self._signals.arrived()  # what has come so far is being obeyed
        if self._ready:
            self._driver.terminate()
            deadline = time.monotonic() + STOP_S
            while self._driver.poll() is None and time.monotonic() < deadline:
                if self._signals.arrived():
                    break
                time.sleep(0.05)
        os.close(self._events)
        processes.stop_descendants()
        self._driver.wait()

    def _remove(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

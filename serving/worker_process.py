"""A process of ours beside this one, spoken to over a socket; it ends when its socket does.

`python -m serving.worker_process MODULE FD` is that process: it runs MODULE's `main(connection)`.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import socket
import subprocess
import sys
from multiprocessing.connection import Connection, wait
from typing import Any

from serving.errors import EngineDead
from serving.model_source import PACKAGES_ROOT

END_S = 10.0


class WorkerProcess:
    """Runs a module's `main` and speaks pickled objects with it; made by and for us only."""

    def __init__(self, module: str) -> None:
        ours, theirs = socket.socketpair()
        self._connection: Connection = Connection(ours.detach())
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, module, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": _python_path()},
            )
        self._woken, self._waker = os.pipe()
        os.set_blocking(self._waker, False)
        os.set_blocking(self._woken, False)

    def send(self, what: Any) -> None:
        """Raises EngineDead if nobody is left to hear it."""
        try:
            self._connection.send(what)
        except OSError as error:
            raise self._dead() from error

    def receive(self) -> Any:
        """What it says next, or None after `wake`; waits. Raises EngineDead when it has ended."""
        if self._connection not in wait([self._connection, self._woken]):
            os.read(self._woken, 4096)
            return None
        try:
            return self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._dead() from error

    def wake(self) -> None:
        """Let a `receive` that waits return at once; from any thread."""
        with contextlib.suppress(BlockingIOError):  # full: it will wake from what is there
            os.write(self._waker, b"!")

    def close(self) -> None:
        """End it, and wait until its memory is free; safe to call twice."""
        if self._connection.closed:
            return
        self._connection.close()
        self._process.terminate()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._woken)
        os.close(self._waker)

    def _dead(self) -> EngineDead:
        status = self._process.wait(END_S)
        how = signal.Signals(-status).name if status < 0 else f"status {status}"
        return EngineDead(f"the engine's process ended ({how}); its last words are in the log")


def _python_path() -> str:
    """Where our packages are, also for a process whose working directory is elsewhere."""
    return os.pathsep.join(filter(None, [str(PACKAGES_ROOT), os.environ.get("PYTHONPATH", "")]))


if __name__ == "__main__":
    with Connection(int(sys.argv[2])) as connection:
        importlib.import_module(sys.argv[1]).main(connection)

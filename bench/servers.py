"""Real servers for a benchmark: `anynode serve` in processes of their own, on free ports."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import psutil

from inference.local.ports import free_port

START_LIMIT_S = 120
STOP_LIMIT_S = 60


def serving(
    model: Path, *, proxy: str, batch_size: int, num_threads: int
) -> AbstractContextManager[Server]:
    """A running server for `model`; everything it started is gone afterwards."""
    return _anynode_serve(
        *(str(model), "--proxy", proxy, "--model-name", "bench"),
        *("--batch-size", str(batch_size), "--num-threads", str(num_threads)),
    )


def serving_config(config: Path) -> AbstractContextManager[Server]:
    """A running server for what a Serve config says."""
    return _anynode_serve(str(config))


@contextmanager
def _anynode_serve(*arguments: str) -> Iterator[Server]:
    port = free_port()
    command = [sys.executable, "-m", "inference.cli.main", "serve", *arguments]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*command, "--port", str(port)], stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
        try:
            try:
                wait_until_it_answers(process, port)
            except RuntimeError as error:
                log.seek(0)
                raise RuntimeError(f"{error}\n{log.read().decode(errors='replace')}") from None
            yield Server(process, port)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_LIMIT_S)


def wait_until_it_answers(process: subprocess.Popen[bytes], port: int) -> None:
    """Raises RuntimeError if the process ends before, or takes too long."""
    deadline_s = time.monotonic() + START_LIMIT_S
    while not _answers(port):
        if process.poll() is not None:
            raise RuntimeError("the server ended before it answered")
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"the server did not answer within {START_LIMIT_S} s")
        time.sleep(0.2)


class Server:
    """One `anynode serve` and the port it answers on."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process = process
        self.port = port

    def replica_port(self) -> int:
        """The port on which the replica itself answers, behind the proxy (HAProxy mode only)."""
        family = psutil.Process(self._process.pid).children(recursive=True)
        listening = {
            connection.laddr.port
            for process in family
            if "ServeReplica" in " ".join(process.cmdline())
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        }
        found = [port for port in listening if _answers(port)]
        if len(found) != 1:
            raise RuntimeError(f"expected one replica that speaks HTTP, found ports {found}")
        return found[0]


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/v1/models", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False

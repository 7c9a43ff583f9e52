"""Real servers for a benchmark: `anynode serve` in processes of their own, on free ports."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

START_LIMIT_S = 120
STOP_LIMIT_S = 60


@contextmanager
def serving(model: Path, *, proxy: str, batch_size: int, num_threads: int) -> Iterator[Server]:
    """A running server for `model`; everything it started is gone afterwards."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "inference.cli.main", "serve", str(model)),
        *("--port", str(port), "--proxy", proxy, "--model-name", "bench"),
        *("--batch-size", str(batch_size), "--num-threads", str(num_threads)),
    ]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            server = Server(process, port)
            try:
                server.wait_until_ready()
            except RuntimeError as error:
                log.seek(0)
                raise RuntimeError(f"{error}\n{log.read().decode(errors='replace')}") from None
            yield server
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(STOP_LIMIT_S)


class Server:
    """One `anynode serve` and the ports it answers on."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process = process
        self.port = port

    def wait_until_ready(self) -> None:
        deadline_s = time.monotonic() + START_LIMIT_S
        while not _answers(self.port):
            if self._process.poll() is not None:
                raise RuntimeError("anynode serve ended before it answered")
            if time.monotonic() > deadline_s:
                raise RuntimeError(f"anynode serve did not answer within {START_LIMIT_S} s")
            time.sleep(0.2)

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


def free_port() -> int:
    """A port of the loopback interface that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

"""Real servers for a benchmark: `anynode serve` in processes of their own, on free ports."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        }
        low, high = _replica_port_range()
        found = [port for port in listening if low <= port <= high and _answers(port)]
        if len(found) != 1:
            raise RuntimeError(f"expected one replica port from {low} to {high}, found {found}")
        return found[0]


def _replica_port_range() -> tuple[int, int]:
    """Ray's defaults, or whatever its own variables say."""
    return (
        int(os.environ.get("RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT", "1024")),
        int(os.environ.get("RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT", "65535")),
    )


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False


def free_port() -> int:
    """A port of the loopback interface that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

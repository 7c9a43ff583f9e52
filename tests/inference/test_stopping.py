"""However `anynode serve` ends, it leaves no process, no port and no folder."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import psutil
import pytest
import yaml

from inference.local.ports import is_free
from tests.inference.running import Running, left_behind, wait_until

ECHO = ("echo", "--engine", "echo", "--num-threads", "1")


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """An echo that takes minutes for what `keep_busy` asks."""
    args = {"model_name": "echo", "engine": "echo", "engine_kwargs": {"tokens_per_s": 20}}
    application = {"import_path": "inference:typed_app_builder", "args": args}
    path = tmp_path / "slow.yaml"
    path.write_text(yaml.safe_dump({"applications": [application]}))
    return path


def traces(server: Running) -> tuple[list[psutil.Process], list[int], Path]:
    """What must be gone when it has ended."""
    return server.tree(), [port for _, port in server.listening()], server.folder()


def keep_busy(url: str) -> None:
    """A stream that nobody ends."""
    body = {"model": "echo", "prompt": "x", "max_tokens": 8000, "ignore_eos": True, "stream": True}
    try:
        with httpx.stream("POST", f"{url}/v1/completions", json=body) as answer:
            for _ in answer.iter_bytes():
                pass
    except httpx.HTTPError:
        pass  # the server went away, as it should


@pytest.mark.parametrize(
    ("number", "proxy"),
    [(signal.SIGINT, "haproxy"), (signal.SIGTERM, "python"), (signal.SIGHUP, "haproxy")],
)
def test_a_signal_ends_it_soon_and_wholly(
    tmp_path: Path, slow: Path, number: signal.Signals, proxy: str
) -> None:
    with Running((str(slow), "--proxy", proxy), tmp_path, {}) as server:
        server.wait_until_ready()
        busy = threading.Thread(target=keep_busy, args=[server.url], daemon=True)
        busy.start()
        wait_until(lambda: bool(server.health()["running"]))
        before = traces(server)
        assert server.stop(number) < 10
        assert server.process.returncode == 0
        assert left_behind(*before) == []
        assert is_free("127.0.0.1", server.port)  # and can be opened again at once
        busy.join(5)


def test_ctrl_c_while_it_starts(tmp_path: Path) -> None:
    with Running(ECHO, tmp_path, {}) as server:
        wait_until(lambda: "starting Serve" in server.output)
        before = traces(server)
        assert server.stop(signal.SIGINT) < 5
        assert left_behind(*before) == []


def test_even_kill_leaves_nothing_for_long(tmp_path: Path) -> None:
    with Running(ECHO, tmp_path, {}) as server:
        server.wait_until_ready()
        before = traces(server)
        server.stop(signal.SIGKILL)
        wait_until(lambda: not left_behind(*before))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("/no/such/model",), "there is no folder '/no/such/model'"),
        (("--batch-size", "0"), "batch_size: "),
        (("--engine", "onx"), "did you mean 'onnx'"),
        (("--data-type", "int5"), "data_type: "),
        (("--target-device", "ARM"), "target_device: "),
        (("--target-device", "intel", "--data-type", "int4"), "--engine openvino --data-type int4"),
        (("--port", "1", "--host", "203.0.113.1"), "port 1 on 203.0.113.1"),
        (("serving/cpu/config.yaml", "--batch-size", "2"), "batch_size belongs into the args"),
    ],
)
def test_a_mistake_is_one_sentence_and_starts_nothing(
    arguments: tuple[str, ...], sentence: str
) -> None:
    command = [sys.executable, "-m", "inference.cli.main", "serve", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_an_engine_that_cannot_start_is_one_sentence(tmp_path: Path) -> None:
    """Found only in the replica: its module is not imported before."""
    with Running(
        ("models/anynode-demo", "--engine", "no.such.module:Engine"), tmp_path, {}
    ) as server:
        assert server.process.wait(90) == 2
    assert "needs the Python module 'no'" in server.output
    assert "Traceback" not in server.output

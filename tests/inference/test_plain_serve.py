"""The bundled config under plain `serve run`, from the repository's root, without our command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
import yaml

from inference.local.ports import free_port
from tests.inference.running import ROOT, wait_until


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """Where `serve run` will answer, with the bundled config but for the port."""
    config = yaml.safe_load((ROOT / "serving/cpu/config.yaml").read_text())
    port = free_port()
    config["http_options"]["port"] = port
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    ray_folder = tempfile.mkdtemp(prefix="anynode-test-", dir="/tmp")  # short: sockets live in it
    own = {"HOME": str(tmp_path), "RAY_TMPDIR": ray_folder, "RAY_AUTH_MODE": "disabled"}
    command = [Path(sys.executable).parent / "serve", "run", "--address", "local", path]
    with (tmp_path / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | own, stdout=output, stderr=output
        )
    yield f"http://127.0.0.1:{port}"
    for each in [*psutil.Process(process.pid).children(recursive=True), process]:
        each.kill()  # `serve run` itself would take half a minute
    process.wait(10)
    shutil.rmtree(ray_folder, ignore_errors=True)


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def test_serve_run_takes_the_bundled_config(url: str) -> None:
    wait_until(lambda: answers(f"{url}/v1/models"), patience_s=120)
    body = {"model": "anynode-demo", "messages": [{"role": "user", "content": "Hello!"}]}
    answer = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60).json()
    assert answer["choices"][0]["message"]["content"]

"""`anynode serve CONFIG.yaml` with one application on this machine's GPUs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.inference.running import Running
from tests.vllm.served import DEMO_MODEL, VLLM_ENVIRONMENT

START_S = 600.0  # kernels may have to be compiled first
# Enough for any test; faster to start than with graphs.
EAGER = {"enforce_eager": True}


def config_file(folder: Path, deployment: dict[str, Any] | None = None, **args: Any) -> Path:
    """A Serve config with one application; `deployment`: what it says beside the name."""
    application = {
        "name": "chat",
        "import_path": "inference:typed_app_builder",
        "route_prefix": "/",
        "args": {"model_name": str(DEMO_MODEL), "engine_kwargs": EAGER, **args},
        "deployments": [{"name": "VLLMPredictDeployment", **(deployment or {})}],
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({"applications": [application]}))
    return path


@contextmanager
def serving(config: Path, home: Path) -> Iterator[Running]:
    """What `config` describes, from when it answers to the end of the block."""
    with Running((str(config),), home, VLLM_ENVIRONMENT) as server:
        server.wait_until_ready(START_S)
        yield server


def refusal(config: Path, home: Path) -> str:
    """What the operator is told where `config` cannot be served, on one line."""
    with Running((str(config),), home, VLLM_ENVIRONMENT) as server:
        assert server.process.wait(START_S) != 0, server.output
        return " ".join(server.output.split())


def kv_cache(port: int) -> dict[str, str]:
    """vLLM's word on its KV cache, from the /metrics that answers at `port`."""
    exposition = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
    told = re.search(r"^vllm:cache_config_info\{(.*)\} ", exposition, re.MULTILINE)
    assert told, exposition
    return dict(re.findall(r'(\w+)="([^"]*)"', told[1]))


def kv_tokens(port: int) -> int:
    """Tokens that the KV cache of one replica holds."""
    told = kv_cache(port)
    return int(told["num_gpu_blocks"]) * int(told["block_size"])

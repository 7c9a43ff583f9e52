"""Memory of a GPU: shares of it, a model that does not fit, and what is tried then."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.make_random_checkpoint import Shape, make_checkpoint
from serving.model_shape import read_shape
from tests.gpu.machine import GPU, gpus_at_first, needs, read_gpus
from tests.gpu.serving import EAGER, config_file, kv_tokens, refusal, serving
from tests.inference.running import Running, listening
from tests.vllm.served import DEMO_MODEL

GIB = 2**30
# 3.4 GiB in 16 bits: more than the 3.0 GiB that we reckon for everything with 8-bit weights.
LARGE = Shape(32_000, 2560, 6912, 24, 20, 4, context=2048, tied=False)
ROOM_BYTES = int(3.1 * GIB)
CONTEXT_BYTES = int(1.5 * GIB)  # of a driver and its libraries in one process, at most


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A checkpoint of random weights; removed at once, for it is large."""
    folder = tmp_path_factory.mktemp("large")
    make_checkpoint(LARGE, folder)
    yield folder
    (folder / "model.safetensors").unlink()


def too_large(folder: Path, model: Path, **args: Any) -> Path:
    """A config that leaves `model` less memory than it needs, whatever the GPU."""
    [gpu, *_], _ = gpus_at_first()
    return config_file(
        folder,
        model_name=str(model),
        gpu_memory_utilization=round(ROOM_BYTES / gpu.total_bytes, 4),
        batch_size=8,
        engine_kwargs={**EAGER, "max_num_batched_tokens": 2048},
        **args,
    )


def test_two_replicas_have_half_of_their_gpu_each(home: Path, tmp_path: Path) -> None:
    shape = read_shape(DEMO_MODEL)
    assert shape is not None
    config = config_file(
        tmp_path, {"num_replicas": 2}, replicas_per_gpu=2, gpu_memory_utilization=0.4
    )
    before = read_gpus()
    with serving(config, home) as server:
        taken = [(gpu, size) for gpu, size in used(before, read_gpus()) if size > GIB]
        tokens = [kv_tokens(port) for port in replica_ports(server)]
    [(gpu, size)] = taken
    assert size <= 0.4 * gpu.total_bytes + 2 * CONTEXT_BYTES
    caches = [count * shape.kv_bytes_per_token() / gpu.total_bytes for count in tokens]
    assert len(caches) == 2
    # A model this small leaves most of its share to the KV cache.
    assert all(0.1 < cache <= 0.2 for cache in caches), caches


def used(before: list[GPU], after: list[GPU]) -> list[tuple[GPU, int]]:
    """Each GPU with the bytes that have been taken of it meanwhile."""
    pairs = zip(before, after, strict=True)
    return [(now, then.free_bytes - now.free_bytes) for then, now in pairs]


def replica_ports(server: Running) -> list[int]:
    """Where each replica speaks HTTP itself."""
    ports = [port for each in server.called("ServeReplica") for _, port in listening(each)]
    return [port for port in ports if is_ready(port)]


def is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def test_a_model_that_does_not_fit_is_told_with_the_nearest_settings(
    home: Path, tmp_path: Path, large: Path
) -> None:
    said = refusal(too_large(tmp_path, large), home)
    assert "vLLM could not start: " in said
    assert re.search(r"each GPU needs about \d\.\d GiB \(3\.4 GiB of weights", said), said
    assert re.search(r"and has [23]\.\d GiB; set load_in_8bit: true", said), said
    assert "cpu_offload_gb: 2" in said


@pytest.mark.parametrize("how", [pytest.param("quantize", marks=needs(float8=True)), "offload"])
def test_a_fallback_makes_it_fit(home: Path, tmp_path: Path, large: Path, how: str) -> None:
    with serving(too_large(tmp_path, large, oom_fallback=how), home) as server:
        asked = {"model": large.name, "prompt": "one two three", "max_tokens": 4}
        answer = httpx.post(f"{server.url}/v1/completions", json=asked, timeout=120)
        assert answer.status_code == 200, answer.text
        assert answer.json()["usage"]["completion_tokens"] >= 1

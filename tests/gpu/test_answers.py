"""The demo model answers right: as the bundled config runs it, on two GPUs, in 8 bits."""

from __future__ import annotations

from pathlib import Path

from serving.model_shape import read_shape
from tests.gpu.exam import EXAM, wrong_answers
from tests.gpu.machine import needs
from tests.gpu.serving import config_file, kv_cache, kv_tokens, serving
from tests.inference.running import ROOT
from tests.vllm.served import DEMO_MODEL

KV_CACHE_BYTES = 256 * 2**20
MOST_WRONG_IN_8_BITS = 1


def test_the_bundled_config(home: Path) -> None:
    with serving(ROOT / "serving/gpu/config.yaml", home) as server:
        assert wrong_answers(server.url) == {}
        assert wrong_answers(server.url, at_once=len(EXAM)) == {}


@needs(2)
def test_two_gpus(home: Path, tmp_path: Path) -> None:
    config = config_file(tmp_path, gpu_count=2, gpu_memory_utilization=0.3)
    with serving(config, home) as server:
        assert wrong_answers(server.url, at_once=len(EXAM)) == {}


@needs(float8=True)
def test_weights_in_8_bits(home: Path, tmp_path: Path) -> None:
    config = config_file(tmp_path, load_in_8bit=True, gpu_memory_utilization=0.3)
    with serving(config, home) as server:
        assert len(wrong_answers(server.url, at_once=len(EXAM))) <= MOST_WRONG_IN_8_BITS


@needs(float8=True)
def test_a_kv_cache_in_8_bits_holds_twice_as_much(home: Path, tmp_path: Path) -> None:
    shape = read_shape(DEMO_MODEL)
    assert shape is not None
    config = config_file(tmp_path, cache_8bit=True, kv_cache_bytes=KV_CACHE_BYTES)
    with serving(config, home) as server:
        assert len(wrong_answers(server.url, at_once=len(EXAM))) <= MOST_WRONG_IN_8_BITS
        assert kv_cache(server.port)["cache_dtype"].startswith("fp8")
        bytes_per_token = KV_CACHE_BYTES / kv_tokens(server.port)
    assert bytes_per_token < 1.1 * shape.kv_bytes_per_token(element_bytes=1)

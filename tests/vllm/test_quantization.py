"""What a vLLM for CPUs can hold in 8 bits, which is the KV cache; and what it says of the rest."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from tests.vllm.conftest import Refused, replica
from tests.vllm.exam import LEAST_RIGHT, share_right
from tests.vllm.served import Served


def cache_of(served: Served) -> dict[str, str]:
    """What vLLM tells of its KV cache."""
    exposition = httpx.get(f"{served.url}/metrics").text
    [line] = [line for line in exposition.splitlines() if "cache_config_info{" in line]
    return dict(re.findall(r'(\w+)="([^"]*)"', line))


def num_tokens(cache: dict[str, str]) -> int:
    return int(cache["num_gpu_blocks"]) * int(cache["block_size"])


def test_a_cache_in_8_bits_holds_twice_as_much_and_answers_right(served: Served) -> None:
    with replica(cache_8bit=True) as small:
        cache = cache_of(small)
        assert cache["cache_dtype"] == "fp8"
        assert num_tokens(cache) == pytest.approx(2 * num_tokens(cache_of(served)), rel=0.01)
        assert share_right(small) >= LEAST_RIGHT


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"load_in_8bit": True}, "load_in_8bit: .* on GPUs only"),
        ({"load_in_4bit": True}, "load_in_4bit: .* on GPUs only"),
        (
            {"engine_kwargs": {"quantization": "bitsandbytes"}},
            "Unknown quantization method: bitsandbytes. Must be one of",
        ),
        (
            {"engine_kwargs": {"quantization": "awq", "enforce_eager": True}},
            "vLLM could not start: Cannot find the config file for awq",
        ),
    ],
)
def test_what_a_cpu_cannot_is_refused_in_one_sentence(settings: dict[str, Any], words) -> None:
    with pytest.raises(Refused, match=words), replica(**settings):
        pass

"""Which GPUs this machine has, and why a test cannot run on it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

import pytest

from tests.vllm.served import ROOT

PROBE_S = 180.0  # the first import of torch and vLLM on a cold disk


@dataclass(frozen=True, slots=True)
class GPU:
    """One of them, as `tests.gpu.probe` saw it."""

    name: str
    total_bytes: int
    free_bytes: int
    has_float8: bool  # 8-bit floats, for weights and KV cache


class NoGPUs(Exception):
    """This machine cannot run these tests; says why."""


def read_gpus() -> list[GPU]:
    """All that this machine has, with the memory that is free now; raises NoGPUs."""
    if find_spec("vllm") is None:
        raise NoGPUs("vLLM is not installed in this environment: make test-gpu")
    done = subprocess.run(
        [sys.executable, "-m", "tests.gpu.probe"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PROBE_S,
        check=False,
    )
    if done.returncode:
        raise NoGPUs(f"torch or vLLM does not start: {(done.stderr.splitlines() or ['?'])[-1]}")
    gpus = [GPU(**each) for each in json.loads(done.stdout.splitlines()[-1])]
    if not gpus:
        raise NoGPUs("torch sees no GPU on this machine")
    return gpus


@cache
def gpus_at_first() -> tuple[list[GPU], str]:
    """The GPUs, or none and the reason; asked once."""
    try:
        return read_gpus(), ""
    except NoGPUs as error:
        return [], str(error)


def needs(num_gpus: int = 1, *, float8: bool = False) -> pytest.MarkDecorator:
    """Skips a test that one GPU, which all of this folder need, is not enough for."""
    found, _ = gpus_at_first()
    reason = missing(found, num_gpus, float8) if found else ""
    return pytest.mark.skipif(bool(reason), reason=reason)


def missing(found: list[GPU], num_gpus: int, float8: bool) -> str:
    """What the GPUs found have not; empty if they are enough."""
    if len(found) < num_gpus:
        return f"needs {num_gpus} GPUs, this machine has {len(found)} ({found[0].name})"
    if float8 and not all(gpu.has_float8 for gpu in found):
        return f"needs 8-bit floats, which {found[0].name} has not"
    return ""

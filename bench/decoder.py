"""How fast the default engine's decoder is, and how near to what this machine's memory allows.

Every decode step reads all weights once, so steps per second cannot exceed memory bandwidth /
weight bytes: the roofline. Bandwidth is measured right before every other measurement and compared
with that one only, so that whatever else the machine does hits both.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from serving.conversion.manifest import converted_folder, read_manifest
from serving.engines.onnx_decoder import OnnxDecoder

BATCH_SIZES = (1, 8, 32)
PROMPT_TOKENS = 128
STEPS = 32  # decoded for one measurement, from the prompt's end on
BANDWIDTH_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement and the bandwidth just before it."""

    bytes_per_s: float
    tokens_per_s: float


def measure(model: Path, *, rounds: int, num_threads: int) -> dict[str, list[Sample]]:
    """Samples of decoding at each batch size (`decode 8`) and of reading a prompt (`prefill`)."""
    context = PROMPT_TOKENS + STEPS
    decoder = OnnxDecoder(converted_folder(model, "onnx"), max(BATCH_SIZES), context, num_threads)
    bandwidth = Bandwidth(num_threads)
    cases: dict[str, Callable[[], float]] = {
        **{f"decode {batch}": Decoding(decoder, batch) for batch in BATCH_SIZES},
        "prefill": Prefill(decoder),
    }
    samples: dict[str, list[Sample]] = {name: [] for name in cases}
    for number in range(-1, rounds):  # the first call of each shape plans its memory
        for name, case in cases.items():
            print(f"  round {number + 1}/{rounds}: {name}", file=sys.stderr)
            sample = Sample(bandwidth(), case())
            if number >= 0:
                samples[name].append(sample)
    decoder.close()
    return samples


def weight_bytes(model: Path) -> int:
    """What one decode step reads of the weights."""
    return read_manifest(converted_folder(model, "onnx")).weight_bytes_per_step


class Bandwidth:
    """Bytes read per second by all threads together, from far more memory than any cache holds."""

    def __init__(self, num_threads: int) -> None:
        self._slices = np.array_split(np.ones(BANDWIDTH_BYTES // 4, np.float32), num_threads)
        self._pool = ThreadPoolExecutor(num_threads)

    def __call__(self) -> float:
        began_s = time.perf_counter()
        list(self._pool.map(np.max, self._slices))
        return BANDWIDTH_BYTES / (time.perf_counter() - began_s)


class Decoding:
    """Tokens per second of `batch` sequences together; logits are read, nothing is sampled."""

    def __init__(self, decoder: OnnxDecoder, batch: int) -> None:
        self._decoder = decoder
        self._tokens = np.arange(batch) % decoder.vocab_size

    def __call__(self) -> float:
        lengths = np.full(len(self._tokens), PROMPT_TOKENS)
        began_s = time.perf_counter()
        for step in range(STEPS):
            self._decoder.decode(self._tokens, lengths + step)
        return len(self._tokens) * STEPS / (time.perf_counter() - began_s)


class Prefill:
    """Tokens per second of reading one prompt."""

    def __init__(self, decoder: OnnxDecoder) -> None:
        self._decoder = decoder
        self._prompt = np.arange(PROMPT_TOKENS) % decoder.vocab_size

    def __call__(self) -> float:
        began_s = time.perf_counter()
        self._decoder.prefill(0, self._prompt, 0, all_logits=False)
        return PROMPT_TOKENS / (time.perf_counter() - began_s)

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

from serving.conversion.manifest import read_manifest
from serving.engines.onnx_decoder import OnnxDecoder

BATCH_SIZES = (1, 8, 32)
PROMPT_TOKENS = 128
STEPS = 32  # decoded for one measurement, from the prompt's end on
BANDWIDTH_BYTES = 1 << 30
OWN, ONNX_RUNTIME = "ours", "ONNX Runtime's"


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement and the bandwidth just before it."""

    bytes_per_s: float
    tokens_per_s: float


def measure(folder: Path, *, rounds: int, num_threads: int) -> dict[str, dict[str, list[Sample]]]:
    """By whose kernels multiply, OWN or ONNX_RUNTIME: samples of decoding at each batch size
    (`decode 8`) and of reading a prompt (`prefill`), all in turns. `folder` is a converted one.
    """
    context = PROMPT_TOKENS + STEPS
    decoders = {
        kernels: OnnxDecoder(
            folder, max(BATCH_SIZES), context, num_threads, own_kernels=kernels == OWN
        )
        for kernels in (OWN, ONNX_RUNTIME)
    }
    bandwidth = Bandwidth(num_threads)
    samples: dict[str, dict[str, list[Sample]]] = {OWN: {}, ONNX_RUNTIME: {}}
    for number in range(-1, rounds):  # the first call of each shape plans its memory
        for name in (*(f"decode {batch}" for batch in BATCH_SIZES), "prefill"):
            print(f"  round {number + 1}/{rounds}: {name}", file=sys.stderr)
            for kernels, decoder in decoders.items():
                sample = Sample(bandwidth(), _case(name, decoder)())
                if number >= 0:
                    samples[kernels].setdefault(name, []).append(sample)
    for decoder in decoders.values():
        decoder.close()
    return samples


def _case(name: str, decoder: OnnxDecoder) -> Callable[[], float]:
    _, _, batch = name.partition(" ")
    return Decoding(decoder, int(batch)) if batch else Prefill(decoder)


def weight_bytes(folder: Path) -> int:
    """What one decode step reads of the weights of a converted folder."""
    return read_manifest(folder).weight_bytes_per_step


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

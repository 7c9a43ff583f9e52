"""This machine's GPUs, as their vendors' own tools tell of them."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from dataclasses import dataclass
from typing import Literal

NVIDIA_SMI = ("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits")
ROCM_SMI = ("rocm-smi", "--showproductname", "--showmeminfo", "vram", "--json")
TIMEOUT_S = 5.0
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Gpu:
    """One card."""

    product: str
    vendor: Literal["NVIDIA", "AMD"]
    memory_bytes: int | None  # None: its tool does not say


def gpus_here() -> list[Gpu]:
    """Never fails: a tool that is missing, fails or hangs tells of none."""
    return nvidia_gpus(_output(NVIDIA_SMI)) + amd_gpus(_output(ROCM_SMI))


def nvidia_gpus(said: str) -> list[Gpu]:
    """`NVIDIA A100-SXM4-80GB, 81920` on each line, in MiB. Pure."""
    rows = (row for row in csv.reader(io.StringIO(said), skipinitialspace=True) if len(row) == 2)
    return [Gpu(name, "NVIDIA", int(mib) * MIB if mib.isdigit() else None) for name, mib in rows]


def amd_gpus(said: str) -> list[Gpu]:
    """A JSON object of cards, behind warnings; headings changed their capitals over time. Pure."""
    try:
        cards = json.loads(said[said.index("{") :])
    except ValueError:  # no object, or half of one
        return []
    return [_amd_gpu(told) for name, told in cards.items() if name.startswith("card")]


def _amd_gpu(told: dict[str, str]) -> Gpu:
    card = {heading.lower(): value for heading, value in told.items()}
    product = card.get("card series") or card.get("card model") or "AMD GPU"
    size = card.get("vram total memory (b)", "")
    return Gpu(product, "AMD", int(size) if size.isdigit() else None)


def _output(command: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout

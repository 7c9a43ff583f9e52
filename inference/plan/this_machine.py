"""This machine as one node of a fleet: its CPUs, free memory and its speed, and its GPUs."""

from __future__ import annotations

import csv
import io
import json
import os
import platform
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from serving.cpu.processor import this_processor
from serving.cpu.topology import Topology, this_machine
from serving.errors import ConfigError
from serving.memory import available_bytes

READ_BYTES = 2**28  # by each thread: far more than caches hold
MOST_READ = 1 / 4  # of free memory
REPEATS = 3
QUERY_S = 10.0
NVIDIA_SMI = ("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits")
ROCM_SMI = ("rocm-smi", "--showproductname", "--showmeminfo", "vram", "--json")
MIB = 2**20


def find_node() -> dict[str, Any]:
    """This machine in a fleet's words. Takes about a second; raises ConfigError on ARM."""
    vendor = this_processor().vendor.upper()
    if vendor not in ("INTEL", "AMD"):
        raise ConfigError(
            f"--this-machine: its CPU is neither Intel's nor AMD's but {vendor}; write it into a "
            "fleet file as whichever is nearer"
        )
    topology, memory = this_machine(), available_bytes()
    return {
        "name": re.sub(r"[^a-z0-9.-]", "-", platform.node().lower()).strip("-.") or "this",
        "vendor": vendor,
        "memory": memory,
        "memory_bandwidth": int(measured_bandwidth(num_cpus(topology), memory)),
        "gpus": nvidia_gpus(_output(NVIDIA_SMI)) + amd_gpus(_output(ROCM_SMI)),
        **cpus(topology),
    }


def num_cpus(topology: Topology | None) -> int:
    """Those that this process has the time of."""
    if topology is None:
        return os.cpu_count() or 1
    quota = topology.quota or len(topology.cpus)
    return max(1, min(len(topology.cpus), int(quota)))


def cpus(topology: Topology | None) -> dict[str, int]:
    """Cores and sockets in a fleet's words."""
    count = num_cpus(topology)
    if topology is None:
        return {"cores": count}
    cores = topology.cores_of_sockets()
    return {
        "cores": count,
        "sockets": min(count, len(cores)),
        "threads_per_core": max(1, len(topology.cpus) // sum(cores.values())),
    }


def measured_bandwidth(num_threads: int, memory: int) -> float:
    """Bytes/s that so many threads read together, the best of a few short tries."""
    size = min(READ_BYTES, int(memory * MOST_READ) // num_threads)
    data = [np.ones(size // 8, dtype=np.int64) for _ in range(num_threads)]
    best_s = float("inf")
    with ThreadPoolExecutor(num_threads) as pool:
        for _ in range(REPEATS):
            start_s = time.perf_counter()
            list(pool.map(np.max, data))  # lets go of Python's lock while it reads
            best_s = min(best_s, time.perf_counter() - start_s)
    return sum(each.nbytes for each in data) / best_s


def _output(command: tuple[str, ...]) -> str:
    """What a vendor's tool says; nothing where there is no such tool, or no such GPU."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=QUERY_S)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


def nvidia_gpus(said: str) -> list[dict[str, Any]]:
    """`NVIDIA A100-SXM4-80GB, 81920` on each line, in MiB; equal neighbours together."""
    rows = [row for row in csv.reader(io.StringIO(said), skipinitialspace=True) if len(row) == 2]
    return _grouped([(name, int(mib) * MIB, "NVIDIA") for name, mib in rows if mib.isdigit()])


def amd_gpus(said: str) -> list[dict[str, Any]]:
    """rocm-smi's JSON: one object for each card."""
    cards = json.loads(said).values() if said.strip() else []
    found = []
    for card in cards:
        size = card.get("VRAM Total Memory (B)")
        name = card.get("Card Series") or card.get("Card series")
        if size and name:
            found.append((str(name), int(size), "AMD"))
    return _grouped(found)


def _grouped(gpus: list[tuple[str, int, str]]) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    for product, memory, vendor in gpus:
        entry = {"product": product, "memory": memory, "vendor": vendor}
        if entries and entries[-1] | {"count": 1} == entry | {"count": 1}:
            entries[-1]["count"] += 1
        else:
            entries.append(entry | {"count": 1})
    return entries

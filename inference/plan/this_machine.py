"""This machine as one node of a fleet: its CPUs, free memory and its speed, and its GPUs."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Any

import numpy as np

from inference.gpus_here import Gpu, gpus_here
from serving.cpu.processor import this_processor
from serving.cpu.topology import Topology, this_machine
from serving.errors import ConfigError
from serving.memory import available_bytes

READ_BYTES = 2**28  # by each thread: far more than caches hold
MOST_READ = 1 / 4  # of free memory
REPEATS = 3


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
        "gpus": gpu_entries(gpus_here()),
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


def gpu_entries(gpus: Iterable[Gpu]) -> list[dict[str, Any]]:
    """In a fleet's words, equal neighbours together; without a memory the product tells it."""
    return [
        {
            "product": gpu.product,
            "vendor": gpu.vendor,
            "count": len(list(equal)),
            **({} if gpu.memory_bytes is None else {"memory": gpu.memory_bytes}),
        }
        for gpu, equal in groupby(gpus)
    ]

"""The machine the client runs on, as far as it changes what a benchmark finds."""

from __future__ import annotations

import math
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from inference.bench.report.model import Environment
from inference.gpus_here import gpus_here

CPUINFO = Path("/proc/cpuinfo")
MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")
DISTRIBUTIONS = ("anynode", "ray", "onnxruntime", "vllm", "numpy", "httptools", "uvloop")


def describe() -> Environment:
    """Never fails: what cannot be found out is said to be unknown, or left out."""
    return Environment(
        processor=processor(_text(CPUINFO)) or platform.machine() or "unknown",
        cores=usable_cores(len(os.sched_getaffinity(0)), _text(CGROUP / "cpu.max")),
        memory_bytes=usable_memory(_text(MEMINFO), _text(CGROUP / "memory.max")),
        gpus=[gpu.product for gpu in gpus_here()],
        kernel=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        versions=installed_versions(),
    )


def installed_versions() -> dict[str, str]:
    """Of the distributions that matter here and are installed."""
    found: dict[str, str] = {}
    for name in DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def processor(cpuinfo: str) -> str | None:
    """The first processor's name; ARM machines name none. Pure."""
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name" and value.strip():
            return value.strip()
    return None


def usable_cores(num_allowed: int, cpu_max: str) -> int:
    """The cores this process may run on, cut by its cgroup's quota (`cpu.max`). Pure."""
    quota, _, period = cpu_max.strip().partition(" ")
    if not (quota.isdigit() and period.isdigit()):
        return num_allowed
    return max(1, min(num_allowed, math.ceil(int(quota) / int(period))))


def usable_memory(meminfo: str, memory_max: str) -> int:
    """Bytes of the machine, cut by its cgroup's limit (`memory.max`); 0 if unknown. Pure."""
    lines = (line.split() for line in meminfo.splitlines())
    kib = next((int(words[1]) for words in lines if words and words[0] == "MemTotal:"), 0)
    limit = memory_max.strip()
    return min(kib * 1024, int(limit)) if limit.isdigit() else kib * 1024


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""

"""The machine the client runs on, as far as it changes what a benchmark finds."""

from __future__ import annotations

import csv
import math
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from inference.bench.report.model import Environment

CPUINFO = Path("/proc/cpuinfo")
MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")
DISTRIBUTIONS = ("anynode", "ray", "onnxruntime", "vllm", "numpy", "httptools", "uvloop")
NVIDIA = ("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
AMD = ("rocm-smi", "--showproductname", "--csv")
GPU_TIMEOUT_S = 5.0


def describe() -> Environment:
    """Never fails: what cannot be found out is said to be unknown, or left out."""
    return Environment(
        processor=processor(_text(CPUINFO)) or platform.machine() or "unknown",
        cores=usable_cores(len(os.sched_getaffinity(0)), _text(CGROUP / "cpu.max")),
        memory_bytes=usable_memory(_text(MEMINFO), _text(CGROUP / "memory.max")),
        gpus=nvidia_names(_output(NVIDIA)) + amd_names(_output(AMD)),
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


def nvidia_names(output: str) -> list[str]:
    """One line for each GPU. Pure."""
    return [line.strip() for line in output.splitlines() if line.strip()]


def amd_names(output: str) -> list[str]:
    """The cards of rocm-smi's CSV, whose headings changed their capitals over time. Pure."""
    lines = [line for line in output.splitlines() if "," in line]
    cards = [
        {heading.lower(): value for heading, value in row.items() if heading and value}
        for row in csv.DictReader(lines)
    ]
    return [card.get("card series") or card.get("card model") or "AMD GPU" for card in cards]


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _output(command: tuple[str, ...]) -> str:
    """What it prints; nothing where it is missing, fails or hangs."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=GPU_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout

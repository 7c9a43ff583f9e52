"""Memory this process may still use: what the machine has free, cut by its cgroup."""

from __future__ import annotations

import ctypes
import gc
from pathlib import Path

from serving.errors import ConfigError

CGROUP = Path("/sys/fs/cgroup")
MEMINFO = Path("/proc/meminfo")


def available_bytes() -> int:
    """Free memory of the machine, or of the container this process is confined to if less."""
    free = _meminfo()["MemAvailable"]
    confined = _cgroup_free_bytes()
    return free if confined is None else min(free, confined)


def check_weights_fit(folder: Path, needed_bytes: int) -> None:
    """Raise ConfigError where a model's weights are more than the memory that is free."""
    free = available_bytes()
    if needed_bytes > free:
        raise ConfigError(
            f"model_name: the weights in {folder} take {needed_bytes / 1e9:.1f} GB and only "
            f"{free / 1e9:.1f} GB of memory are free; give this model more memory or choose a "
            "smaller one",
            param="model_name",
        )


def give_back() -> None:
    """Return what is free in this process to the system: C's allocator keeps much of it."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim is not None:
        trim(0)


def _meminfo() -> dict[str, int]:
    lines = (line.split() for line in MEMINFO.read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if len(words) > 1}


def _cgroup_free_bytes() -> int | None:
    """None outside a limited cgroup. Page cache the kernel would give back counts as free."""
    try:
        limit = (CGROUP / "memory.max").read_text().strip()
        used = int((CGROUP / "memory.current").read_text())
        stat = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return None
    if limit == "max":
        return None
    return max(0, int(limit) - used + int(stat.get("inactive_file", 0)))

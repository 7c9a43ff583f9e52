"""Memory this process may still use: what the machine has free, cut by its cgroup."""

from __future__ import annotations

import contextlib
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


def return_freed() -> None:
    """Give the system what this process has freed; libraries keep it for themselves otherwise."""
    gc.collect()
    with contextlib.suppress(AttributeError, OSError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)


def check_memory(folder: Path, needed: int) -> None:
    """Raise ConfigError where the weights in `folder`, of so many bytes, cannot be loaded."""
    free = available_bytes()
    if needed > free:
        raise ConfigError(
            f"model_name: the weights in {folder} take {needed / 1e9:.1f} GB and only "
            f"{free / 1e9:.1f} GB of memory are free; give this model more memory or choose a "
            "smaller one",
            param="model_name",
        )


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

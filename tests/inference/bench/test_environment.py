"""What is said of the client's machine."""

from __future__ import annotations

import os
import platform
import stat
from importlib.metadata import version
from pathlib import Path

import pytest

from inference.bench import environment

CPUINFO = "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC 9654\nflags\t: fpu\n"
MEMINFO = "MemTotal:       65536 kB\nMemFree:          100 kB\n"


def test_this_machine_is_described() -> None:
    found = environment.describe()
    assert found.processor
    assert 1 <= found.cores <= (os.cpu_count() or 1)
    assert found.memory_bytes > 2**20
    assert found.kernel == f"Linux {platform.release()}"
    assert found.python == platform.python_version()
    assert found.versions["numpy"] == version("numpy")
    assert "vllm" not in found.versions or version("vllm")


def test_a_processor_is_named_as_the_kernel_names_it() -> None:
    assert environment.processor(CPUINFO) == "AMD EPYC 9654"
    assert environment.processor("processor\t: 0\nBogoMIPS\t: 50.00\n") is None
    assert environment.processor("") is None


@pytest.mark.parametrize(
    ("allowed", "cpu_max", "cores"),
    [
        (16, "max 100000\n", 16),
        (16, "400000 100000\n", 4),
        (16, "150000 100000\n", 2),
        (16, "1000 100000\n", 1),
        (2, "400000 100000\n", 2),
        (8, "", 8),
    ],
)
def test_a_quota_cuts_the_cores(allowed: int, cpu_max: str, cores: int) -> None:
    assert environment.usable_cores(allowed, cpu_max) == cores


def test_a_limit_cuts_the_memory() -> None:
    assert environment.usable_memory(MEMINFO, "max\n") == 64 * 2**20
    assert environment.usable_memory(MEMINFO, "1048576\n") == 2**20
    assert environment.usable_memory(MEMINFO, "") == 64 * 2**20
    assert environment.usable_memory("", "") == 0


def test_gpus_are_asked_through_the_vendors_own_tools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool(tmp_path / "nvidia-smi", "echo NVIDIA H200, 143771")
    tool(tmp_path / "rocm-smi", "exit 1")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert environment.describe().gpus == ["NVIDIA H200"]


def tool(path: Path, command: str) -> None:
    path.write_text(f"#!/bin/sh\n{command}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)

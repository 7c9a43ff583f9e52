"""Sessions of ONNX Runtime on the CPU, with the options that all our graphs are run with."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnxruntime as ort

from serving.conversion.manifest import GRAPH_FILE, conversion_command
from serving.errors import ConfigError
from serving.memory import check_memory

CPUINFO = Path("/proc/cpuinfo")
# ONNX Runtime's threads spin for many milliseconds after each step by default, and so take the
# cores from the threads that serve HTTP. This long bridges the gaps between one step's operators.
SPIN_US = 20


def open_session(folder: Path, files: Mapping[str, int], num_threads: int) -> Any:
    """The converted graph in `folder`, ready to run; `files` are its sizes in bytes.

    Raises ConfigError for weights that do not fit into memory, and for what cannot be loaded.
    """
    check_memory(folder, sum(files.values()))
    try:
        return ort.InferenceSession(
            folder / GRAPH_FILE, _options(num_threads), providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime's errors share no base class
        reason = str(error).strip().partition("\n")[0]
        raise ConfigError(
            f"model_name: ONNX Runtime cannot load {folder} ({reason}); run "
            f"`{conversion_command(folder)}`",
            param="model_name",
        ) from error


def _options(num_threads: int) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.log_severity_level = 4  # errors reach us as exceptions
    options.add_session_config_entry("session.intra_op.spin_duration_us", str(SPIN_US))
    if int8_saturates(platform.machine(), _cpu_flags()):
        options.add_session_config_entry("session.x64quantprecision", "1")
    return options


def int8_saturates(machine: str, cpu_flags: frozenset[str]) -> bool:
    """Whether this CPU adds products of uint8 and int8 in 16 bits: x86 before VNNI does.

    ONNX Runtime then needs to be told to use its exact kernels, which halve the speed elsewhere.
    """
    x86 = machine.lower() in ("x86_64", "amd64")
    return x86 and not cpu_flags & {"avx512_vnni", "avx_vnni"}


def _cpu_flags() -> frozenset[str]:
    try:
        lines = CPUINFO.read_text().splitlines()
    except OSError:
        return frozenset()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(flags.partition(":")[2].split())

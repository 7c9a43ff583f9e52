"""Sessions of ONNX Runtime on the CPU, with the options that all our graphs are run with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnxruntime as ort

from serving.conversion.manifest import GRAPH_FILE, conversion_command
from serving.cpu.processor import int8_saturates, this_processor
from serving.errors import ConfigError
from serving.kernels.library import LIBRARY
from serving.memory import check_memory

# Threads that wait for each other between a step's operators spin this long before they sleep:
# being woken takes as long as a small product. At the step's end all stop at once, because the
# cores are wanted by the threads that serve HTTP.
SPIN_US = 1000


def open_session(
    folder: Path,
    files: Mapping[str, int],
    num_threads: int,
    graph: str = GRAPH_FILE,
    *,
    own_operators: bool = False,
) -> Any:
    """A converted graph in `folder`, ready to run; `files` are its sizes in bytes.

    Raises ConfigError for weights that do not fit into memory, and for what cannot be loaded.
    """
    check_memory(folder, sum(files.values()))
    options = _options(num_threads)
    try:
        if own_operators:
            options.register_custom_ops_library(str(LIBRARY))
        return ort.InferenceSession(folder / graph, options, providers=["CPUExecutionProvider"])
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
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if int8_saturates(this_processor()):
        options.add_session_config_entry("session.x64quantprecision", "1")
    return options

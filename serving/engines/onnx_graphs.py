"""A converted decoder's graphs as sessions: ONNX Runtime's operators, or our own where they run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.conversion.manifest import (
    DATA_FILE,
    OWN_GRAPH_FILE,
    OWN_VERIFY_FILE,
    conversion_command,
)
from serving.cpu.processor import this_processor
from serving.engines.onnx_session import open_session
from serving.kernels.library import why_not
from serving.kernels.mapped_files import forget_mapped


@dataclass(frozen=True, slots=True)
class Graphs:
    """Sessions that share weights and work on the same KV memory."""

    step: Any
    verify: Any  # of drafts; the same session where one graph does both
    kernels: str  # whose products they are, and why


def open_graphs(
    folder: Path, files: Mapping[str, int], num_threads: int, *, own_kernels: bool
) -> Graphs:
    """Loads the weights; raises ConfigError as `open_session` does."""
    if (reason := _why_not_own(folder, files, own_kernels)) is not None:
        session = open_session(folder, files, num_threads)
        return Graphs(session, session, f"ONNX Runtime: {reason}")
    step = open_session(folder, files, num_threads, OWN_GRAPH_FILE, own_operators=True)
    verify = (
        open_session(folder, files, num_threads, OWN_VERIFY_FILE, own_operators=True)
        if OWN_VERIFY_FILE in files
        else step
    )
    forget_mapped(folder / DATA_FILE)  # our operators keep the weights in an order of their own
    return Graphs(step, verify, "our own, for AVX512-VNNI")


def _why_not_own(folder: Path, files: Mapping[str, int], own_kernels: bool) -> str | None:
    if not own_kernels:
        return "as own_kernels says"
    if OWN_GRAPH_FILE not in files:
        return f"the model was converted by an earlier version; run `{conversion_command(folder)}`"
    return why_not(this_processor())

"""A converted decoder's graph as a session: with ONNX Runtime's operators, or our own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.conversion.manifest import DATA_FILE, OWN_GRAPH_FILE, conversion_command
from serving.cpu.processor import this_processor
from serving.engines.onnx_session import open_session
from serving.kernels.library import why_not
from serving.kernels.mapped_files import forget_mapped


@dataclass(frozen=True, slots=True)
class LoadedGraph:
    """The model, ready to run."""

    session: Any
    # Whether positions of one row give the same to the bit in one call as one by one; if not, a
    # graph that can verify has an input of its own for it (`conversion.verify_graph`).
    chunks_are_exact: bool
    kernels: str  # whose they are, and why


def open_graph(
    folder: Path, files: Mapping[str, int], num_threads: int, *, own_kernels: bool
) -> LoadedGraph:
    """Loads the weights; raises ConfigError as `open_session` does."""
    if (reason := _why_not_own(folder, files, own_kernels)) is not None:
        session = open_session(folder, files, num_threads)
        return LoadedGraph(session, False, f"ONNX Runtime ({reason})")
    session = open_session(folder, files, num_threads, OWN_GRAPH_FILE, own_operators=True)
    forget_mapped(folder / DATA_FILE)  # our operators keep the weights in an order of their own
    return LoadedGraph(session, True, "our own (AVX512-VNNI)")


def _why_not_own(folder: Path, files: Mapping[str, int], own_kernels: bool) -> str | None:
    if not own_kernels:
        return "own_kernels: false"
    if OWN_GRAPH_FILE not in files:
        return (
            "the model was converted by an earlier version, or its attention is of a kind that ours"
            f" is not; to find out, run `{conversion_command(folder)}`"
        )
    return why_not(this_processor())

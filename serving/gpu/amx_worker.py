"""Mixed into vLLM's workers on CPUs: asks Linux for AMX before anything computes with it.

A process must ask once before it may use the tile registers of Intel's AMX (Linux's
Documentation/arch/x86/xstate.rst). vLLM 0.32's attention does not; it relies on oneDNN, which asks
only when it first multiplies large matrices. A worker whose first request is a short one is killed
by SIGILL. vLLM imports this module in the worker's process.
"""

from __future__ import annotations

import importlib
from contextlib import suppress


def ask_for_amx() -> None:
    """Does nothing where the CPU has none, or torch does not know it."""
    torch = importlib.import_module("torch")
    with suppress(AttributeError):  # private names of torch's
        if torch.cpu._is_amx_tile_supported():
            torch.cpu._init_amx()


class AMXWorker:
    """A worker extension; asking is all it does."""

    ask_for_amx()

"""Where our operators are, and why not.

They are compiled when anynode is installed, if there is a C compiler, and need AVX512-VNNI; without
them ONNX Runtime's own operators do the same work.
"""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from serving.cpu.processor import Processor

DOMAIN = "anynode"  # of the operators, as graphs name it
LIBRARY = Path(__file__).with_name(f"_operators{EXTENSION_SUFFIXES[0]}")
NEEDED = ("avx512f", "avx512bw", "avx512vl", "avx512_vnni")  # Linux's words


def why_not(processor: Processor) -> str | None:
    """What keeps this machine from running them; None if nothing does."""
    if not set(NEEDED) <= processor.flags:
        return "this CPU has no AVX512-VNNI"
    if not LIBRARY.is_file():
        return (
            "they were not compiled when anynode was installed; install a C compiler (apt install "
            "gcc libc6-dev) and then anynode again"
        )
    return None

"""llama.cpp's library, loaded quietly, and the GGUF files it opens.

Only llama-cpp-python's low-level interface is used, which is llama.cpp's own `llama.h`. What the
library would print is dropped; its errors are kept, for whoever must say why something failed.
"""

from __future__ import annotations

import ctypes
import os
from collections import deque
from pathlib import Path
from typing import Any

import llama_cpp as lib

from serving.errors import ConfigError

ERROR_LEVEL = 4  # ggml.h's GGML_LOG_LEVEL_ERROR; llama-cpp-python does not name it
METADATA_BYTES = 256  # enough for the scalar values asked for here

_errors: deque[str] = deque(maxlen=4)


def _keep_error(level: int, text: bytes, _: Any) -> None:
    if level == ERROR_LEVEL:
        _errors.append(text.decode(errors="replace").strip())


_on_log = lib.llama_log_callback(_keep_error)  # kept, because the library does not
lib.llama_log_set(_on_log, ctypes.c_void_p(0))
lib.llama_backend_init()


def forget_errors() -> None:
    """Before a call whose failure will be explained with `first_error`."""
    _errors.clear()


def first_error() -> str:
    """What the library said first since `forget_errors`, without its function's name."""
    said = _errors[0] if _errors else "it does not say why"
    return said.partition(": ")[2] or said


class GgufFile:
    """One opened GGUF file: its weights mapped into memory, or its vocabulary alone."""

    def __init__(self, path: Path, *, vocab_only: bool = False, repack: bool = False) -> None:
        """`repack`: copy weights into layouts that some kernels prefer.

        Raises ConfigError for a file that llama.cpp cannot read.
        """
        params = lib.llama_model_default_params()
        no_devices = (ctypes.c_void_p * 1)(None)  # a build for GPUs keeps to the CPU too
        params.devices = ctypes.cast(no_devices, ctypes.c_void_p)
        params.n_gpu_layers = 0
        params.vocab_only = vocab_only
        params.use_extra_bufts = repack
        forget_errors()
        self.pointer: Any = lib.llama_model_load_from_file(os.fsencode(path), params)
        if not self.pointer:
            raise ConfigError(
                f"model_name: llama.cpp cannot load {path} ({first_error()}); fetch or convert the "
                "file again, or install a newer llama-cpp-python",
                param="model_name",
            )
        self.vocab: Any = lib.llama_model_get_vocab(self.pointer)

    @property
    def vocab_size(self) -> int:
        return int(lib.llama_vocab_n_tokens(self.vocab))

    def metadata(self, key: str) -> str:
        """A scalar of the file's metadata as text; empty where there is none."""
        buffer = ctypes.create_string_buffer(METADATA_BYTES)
        lib.llama_model_meta_val_str(self.pointer, key.encode(), buffer, METADATA_BYTES)
        return buffer.value.decode(errors="replace")

    def close(self) -> None:
        """Safe to call twice."""
        if self.pointer:
            lib.llama_model_free(self.pointer)
        self.pointer = self.vocab = None

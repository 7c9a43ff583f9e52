"""What one call of llama.cpp reads: tokens, where they stand, and whose logits are wanted."""

from __future__ import annotations

import ctypes
from typing import Any

import llama_cpp as lib
import numpy as np
import numpy.typing as npt

from serving.step_model import TokenIds


class Batch:
    """A `llama_batch` over arrays of ours, filled anew for each call."""

    def __init__(self, size: int) -> None:
        self.num_wanted = 0  # positions whose logits were asked for
        self._tokens = np.zeros(size, np.int32)
        self._positions = np.zeros(size, np.int32)
        self._rows = np.zeros(size, np.int32)
        self._wanted = np.zeros(size, np.int8)
        self._ones = np.ones(size, np.int32)  # each token is in one row
        first = self._rows.ctypes.data
        self._row_pointers = np.arange(size, dtype=np.uint64) * self._rows.itemsize + first
        self.struct = lib.llama_batch(
            n_tokens=0,
            token=_pointer(self._tokens, ctypes.POINTER(ctypes.c_int32)),
            pos=_pointer(self._positions, ctypes.POINTER(ctypes.c_int32)),
            n_seq_id=_pointer(self._ones, ctypes.POINTER(ctypes.c_int32)),
            seq_id=_pointer(self._row_pointers, ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))),
            logits=_pointer(self._wanted, ctypes.POINTER(ctypes.c_int8)),
        )

    def fill(
        self,
        token_ids: TokenIds,
        positions: TokenIds,
        rows: TokenIds | int,
        *,
        all_logits: bool,
    ) -> Batch:
        """token_ids [T] at positions [T] of rows [T], or of one row."""
        count = len(token_ids)
        assert count <= len(self._tokens), "the caller gave more tokens than one call takes"
        self._tokens[:count] = token_ids
        self._positions[:count] = positions
        self._rows[:count] = rows
        self._wanted[:count] = all_logits
        self._wanted[count - 1] = True
        self.struct.n_tokens = count
        self.num_wanted = count if all_logits else 1
        return self


def _pointer(array: npt.NDArray[Any], kind: Any) -> Any:
    return ctypes.cast(array.ctypes.data, kind)

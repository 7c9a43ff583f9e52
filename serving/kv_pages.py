"""KV memory of one layer's keys or values, in pages that the system provides as they are used.

A row is one sequence's place. Rows start on a page of their own, so that each can be given back to
the system when its sequence has left; a row that nobody wrote to costs nothing and reads as zeros.
"""

from __future__ import annotations

import math
import mmap
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KvPages:
    """Memory for an array [num_rows, num_heads, length, head_dim]; freed with its last view."""

    buffer: mmap.mmap
    shape: tuple[int, int, int, int]
    row_bytes: int  # a whole number of pages

    def release_row(self, row: int) -> None:
        """The row reads as zeros from now on, and its memory is the system's again."""
        self.buffer.madvise(mmap.MADV_DONTNEED, row * self.row_bytes, self.row_bytes)


def kv_pages(
    num_rows: int, num_heads: int, max_len: int, head_dim: int, element_bytes: int
) -> KvPages:
    """Pages for rows of `max_len` tokens, or a few more, so that a row fills its last page."""
    token_bytes = num_heads * head_dim * element_bytes
    whole_pages = mmap.PAGESIZE // math.gcd(mmap.PAGESIZE, token_bytes)  # tokens
    length = -(-max_len // whole_pages) * whole_pages
    buffer = mmap.mmap(
        -1, num_rows * length * token_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    )
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        buffer.madvise(mmap.MADV_NOHUGEPAGE)  # a huge page would hold many rows' worth for a token
    return KvPages(buffer, (num_rows, num_heads, length, head_dim), length * token_bytes)

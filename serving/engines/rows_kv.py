"""Keys and values of PyTorch models in rows of different lengths, and which of them a call sees.

Row r's token p is at [r, :, p] of every layer's keys and values, whatever its neighbours hold. A
call names the rows it is about and how long each is; the model writes its new tokens where each
row ends, and sees every row up to the longest. What lies beyond a row's own end is masked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from serving.kv_pages import kv_pages

# torch's attention on CPUs takes so many keys at a time, and sums a last block that is shorter in
# another order. With whole blocks a row's sums do not depend on how long the longest row is.
BLOCK = 512


class NotBatchable(Exception):
    """The model keeps something that rows of different length cannot share; says what."""


@dataclass(frozen=True, slots=True)
class Span:
    """The rows of one call: each holds `starts` tokens, and gets `num_new` more."""

    first_row: int
    starts: Any  # int64 [B]
    num_new: int
    total: int  # tokens of the longest row after the call

    @property
    def num_keys(self) -> int:
        """What attention sees: the longest row, up to the end of a block."""
        return whole_blocks(self.total)

    @property
    def rows(self) -> slice:
        return slice(self.first_row, self.first_row + len(self.starts))


NO_ROWS = Span(0, torch.zeros(1, dtype=torch.int64), 0, 0)


def prompt_span(row: int, start: int, count: int) -> Span:
    """A piece of one row's prompt."""
    return Span(row, torch.tensor([start]), count, start + count)


def step_span(lengths: Any) -> Span:
    """One token more for each of the first rows, which hold lengths [B]."""
    return Span(0, lengths, 1, int(lengths.max()) + 1)


def whole_blocks(length: int) -> int:
    """Length, up to the end of a block."""
    return -(-length // BLOCK) * BLOCK


class RowsArray:
    """One layer's keys, or its values, for all rows: [num_rows, num_heads, max_len, head_dim]."""

    def __init__(self, num_rows: int, max_len: int, states: Any) -> None:
        """For rows of states like these, [B, num_heads, num_new, head_dim]."""
        _, num_heads, _, head_dim = states.shape
        self._pages = kv_pages(num_rows, num_heads, max_len, head_dim, states.element_size())
        array = torch.frombuffer(self._pages.buffer, dtype=states.dtype)
        self.array = array.view(self._pages.shape)
        self.bytes_per_token = num_heads * head_dim * states.element_size()

    def write(self, span: Span, states: Any) -> Any:
        """Append states to the rows of a call; these rows up to the longest."""
        held = self.array[span.rows]
        if span.num_new == 1:
            held[torch.arange(len(span.starts)), :, span.starts] = states[:, :, 0]
        else:
            held[:, :, span.total - span.num_new : span.total] = states  # a prompt: one row
        return held[:, :, : span.num_keys]

    def move_row(self, source: int, target: int, length: int) -> None:
        self.array[target, :, :length] = self.array[source, :, :length]

    def release_row(self, row: int) -> None:
        self._pages.release_row(row)

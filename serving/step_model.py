"""What `serving.batching` asks of a model that can be stepped: rows of KV memory and two calls.

A row is one sequence's place in the KV memory. Rows that decode are always 0 … B-1, so that one
call covers them without gaps; a sequence that is still reading its prompt may sit in any other.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

TokenIds = npt.NDArray[np.int64]
Logits = npt.NDArray[np.float32]


class StepModel(Protocol):
    """A decoder with a KV cache of `num_rows` rows. Not thread-safe: one caller at a time."""

    num_rows: int
    max_model_len: int  # tokens that fit into one row
    vocab_size: int
    kv_bytes_per_token: int  # of one row, all layers, keys and values

    def prefill(self, row: int, token_ids: TokenIds, start: int, *, all_logits: bool) -> Logits:
        """Read token_ids [T], the prompt's tokens from position `start` on, into `row`.

        Returns logits of the last position [1, vocab], or of every position [T, vocab].
        The array is valid until the next call.
        """

    def decode(self, token_ids: TokenIds, lengths: TokenIds) -> Logits:
        """Append token_ids [B] to rows 0 … B-1, which hold lengths [B] tokens; logits [B, vocab].

        The array is valid until the next call.
        """

    def move_row(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` tokens' KV of one row over another."""

    def release_row(self, row: int) -> None:
        """The row's content is not needed any more; its memory may go back to the system."""

    def close(self) -> None:
        """Free everything; safe to call twice."""


@runtime_checkable
class DraftVerifier(StepModel, Protocol):
    """A StepModel that can also read several next tokens of one row in a call."""

    verify_sizes: tuple[int, ...]  # tokens a call takes the time of, ascending; empty: it cannot

    def verify(self, token_ids: TokenIds, length: int) -> Logits:
        """Append token_ids [T] to row 0, which holds `length` tokens; logits [T, vocab].

        Promises, bit for bit, the logits and the KV that T calls of `decode` with these tokens
        would give. T is at most the last of verify_sizes, and the row must have room for the next
        of them: what lies behind the T tokens is overwritten. Valid until the next call.
        """

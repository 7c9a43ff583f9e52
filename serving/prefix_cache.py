"""Prompts whose KV memory is kept after their answer, for others that begin alike.

Pure bookkeeping, as in `kv_rows`. Only what was read as a prompt is used again: a token that was
decoded has its keys and values from another kernel, which rounds otherwise, and an answer may not
depend on who was here before.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator

from serving.prefill_pace import MIN_LAST_CHUNK
from serving.step_model import TokenIds

MIN_TOKENS = 16  # a shorter beginning is read again sooner than it is looked for


class PrefixCache:
    """Rows that nobody sits in and what prompt each still holds, the longest unused first."""

    def __init__(self) -> None:
        self._held: OrderedDict[int, tuple[TokenIds, int]] = OrderedDict()

    def __contains__(self, row: int) -> bool:
        return row in self._held

    @property
    def num_tokens(self) -> int:
        """Tokens whose memory is kept."""
        return sum(num_tokens for _, num_tokens in self._held.values())

    def prompts(self) -> Iterator[tuple[int, TokenIds]]:
        """Rows and the prompts in them."""
        return ((row, prompt) for row, (prompt, _) in self._held.items())

    def keep(self, row: int, prompt: TokenIds, num_tokens: int) -> None:
        """The row holds this prompt at its beginning, and `num_tokens` in all."""
        self._held[row] = (prompt, num_tokens)

    def forget(self, row: int) -> None:
        """The row is going to be overwritten."""
        self._held.pop(row, None)

    def forget_oldest(self) -> int:
        """The row that was kept first, no longer kept."""
        row, _ = self._held.popitem(last=False)
        return row


def best_prefix(prompt: TokenIds, held: Iterable[tuple[int, TokenIds]]) -> tuple[int, int] | None:
    """The row that holds the longest useful beginning of `prompt`, and its length in tokens."""
    lengths = ((common_length(prompt, other), row) for row, other in held)
    length, row = max(lengths, default=(0, 0))
    length = min(length, len(prompt) - MIN_LAST_CHUNK)
    return (row, length) if length >= MIN_TOKENS else None


def common_length(one: TokenIds, other: TokenIds) -> int:
    """How many tokens two prompts begin with in common."""
    shorter = min(len(one), len(other))
    differ = one[:shorter] != other[:shorter]
    return int(differ.argmax()) if differ.any() else shorter

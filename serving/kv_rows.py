"""Which sequence sits in which row of the KV memory.

Pure bookkeeping: `KvRows` says which rows must be copied and never touches the memory itself.
Decoding sequences fill rows 0 … B-1 without gaps, so that one call of the model covers them;
sequences that still read their prompt sit in any row above.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

Owner = TypeVar("Owner", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Move(Generic[Owner]):
    """Copy the KV of `owner` from one row to another."""

    owner: Owner
    source: int
    target: int


@dataclass(frozen=True, slots=True)
class Rearrangement(Generic[Owner]):
    """Copies to make, in this order, and the rows whose content nobody needs after them."""

    moves: tuple[Move[Owner], ...] = ()
    vacated: tuple[int, ...] = ()


class KvRows(Generic[Owner]):
    """Rows for at most `num_sequences` at a time; one row more stays spare, to swap through."""

    def __init__(self, num_sequences: int) -> None:
        self.num_sequences = num_sequences
        self._free = list(range(num_sequences + 1))  # a heap: the lowest row is given first
        self._row_of: dict[Owner, int] = {}
        self._owner_of: dict[int, Owner] = {}
        self._decoding: list[Owner] = []  # by row

    @property
    def num_used(self) -> int:
        return len(self._row_of)

    @property
    def full(self) -> bool:
        return self.num_used >= self.num_sequences

    @property
    def decoding(self) -> list[Owner]:
        """Owners of rows 0 … B-1, in this order."""
        return self._decoding

    @property
    def owners(self) -> list[Owner]:
        """Who sits in some row."""
        return list(self._row_of)

    @property
    def free(self) -> list[int]:
        """Rows that nobody sits in, the lowest first."""
        return sorted(self._free)

    def row_of(self, owner: Owner) -> int:
        return self._row_of[owner]

    def join(self, owner: Owner, row: int | None = None) -> int:
        """A row for a sequence that begins to read its prompt: where it will decode, if it can,
        or the free row that is asked for.
        """
        if row is None:
            row = heapq.heappop(self._free)
        else:
            self._free.remove(row)
            heapq.heapify(self._free)
        self._seat(owner, row)
        return row

    def start_decoding(self, owner: Owner) -> Rearrangement[Owner]:
        """The sequence has read its prompt: put it right after the decoding ones."""
        target, source = len(self._decoding), self._row_of[owner]
        self._decoding.append(owner)
        if source == target:
            return Rearrangement()
        moves = []
        if target in self._owner_of:  # taken by another that still reads its prompt
            moves.append(self._reseat(self._owner_of[target], heapq.heappop(self._free)))
        self._free.remove(target)
        heapq.heapify(self._free)
        moves.append(self._reseat(owner, target))
        return Rearrangement(tuple(moves), (source,))

    def leave(self, owner: Owner) -> Rearrangement[Owner]:
        """Give up the row; the last decoding sequence closes the gap."""
        row = self._row_of.pop(owner)
        del self._owner_of[row]
        last = self._decoding[-1] if row < len(self._decoding) else owner
        if row < len(self._decoding):
            self._decoding.pop()
        if last is owner:
            heapq.heappush(self._free, row)
            return Rearrangement(vacated=(row,))
        self._decoding[row] = last
        move = self._reseat(last, row)
        return Rearrangement((move,), (move.source,))

    def _seat(self, owner: Owner, row: int) -> None:
        self._row_of[owner] = row
        self._owner_of[row] = owner

    def _reseat(self, owner: Owner, target: int) -> Move[Owner]:
        """Move an owner to a row that nobody holds; its old row becomes free."""
        source = self._row_of[owner]
        del self._owner_of[source]
        self._seat(owner, target)
        heapq.heappush(self._free, source)
        return Move(owner, source, target)

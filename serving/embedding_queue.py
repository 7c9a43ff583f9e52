"""Which texts the model embeds next: of similar length, and of whichever request has its turn.

A pure decision, with neither clock nor threads. Each batch is led by the request whose turn it is:
its longest waiting text gives the batch its width, to which all others in it are padded. Whatever
room is left goes to texts of the requests next in turn. Then the leader goes to the end of the
line. So a request of a thousand texts holds another one up by one batch, not by all of its own.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

# A text joins wider ones if at most this much of it becomes padding, in tokens or as a share of the
# batch's width: padding is computed like text, while one more call costs only some ten tokens.
PADDING_TOKENS = 8
PADDING_SHARE = 1 / 4


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How much one call of the model may hold."""

    max_texts: int
    max_tokens: int  # padding included; a single text may be longer


@dataclass(eq=False, slots=True)
class Waiting:
    """One request's texts that wait, shortest first, as (length in tokens, number of the text)."""

    texts: list[tuple[int, int]]

    @classmethod
    def of(cls, lengths: Sequence[int]) -> Waiting:
        """All of a request's texts, whose lengths these are."""
        return cls(sorted((length, number) for number, length in enumerate(lengths)))

    def take(self, width: int, room: int) -> list[int]:
        """At most `room` texts that fit a batch of this width, the longest of them."""
        end = bisect_right(self.texts, width, key=_length)
        start = max(bisect_left(self.texts, least_length(width), key=_length), end - room)
        taken = [number for _, number in self.texts[start:end]]
        del self.texts[start:end]
        return taken


def _length(text: tuple[int, int]) -> int:
    return text[0]


def least_length(width: int) -> int:
    """The shortest text that may be padded to `width` tokens."""
    return width - max(PADDING_TOKENS, int(width * PADDING_SHARE))


@dataclass(slots=True)
class FairQueue:
    """Requests in the order of their turns."""

    limits: BatchLimits
    _line: dict[Waiting, None] = field(default_factory=dict)  # an ordered set

    def __bool__(self) -> bool:
        return bool(self._line)

    @property
    def num_texts(self) -> int:
        """Texts that wait."""
        return sum(len(request.texts) for request in self._line)

    def add(self, request: Waiting) -> None:
        """Queue a request with a text or more."""
        self._line[request] = None

    def remove(self, request: Waiting) -> None:
        """Forget what waits of a request; nothing happens if that is nothing."""
        self._line.pop(request, None)

    def next_batch(self) -> list[tuple[Waiting, int]]:
        """The texts of one call, each as its request and its number there; taken off the queue."""
        leader = next(iter(self._line))
        width = leader.texts[-1][0]
        room = max(1, min(self.limits.max_texts, self.limits.max_tokens // width))
        batch: list[tuple[Waiting, int]] = []
        for request in self._line:
            if len(batch) == room:
                break
            batch += [(request, number) for number in request.take(width, room - len(batch))]
        self._pass_on(leader)
        return batch

    def _pass_on(self, leader: Waiting) -> None:
        """The next one's turn; requests of which nothing waits any more leave the line."""
        self._line = {request: None for request in self._line if request.texts}
        if leader in self._line:
            del self._line[leader]
            self._line[leader] = None

"""What `serving.step_thread` asks of whatever batches: sequences go in, each step brings chunks.

A sequence is one choice of one request, from its prompt to its last token; what else it is only
its batcher knows. Not thread-safe but for `prepare` and `interrupt`.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol, TypeVar

from serving.types import Chunk, GenerateRequest, Occupancy

SequenceT = TypeVar("SequenceT", bound=Hashable)


class Batcher(Protocol[SequenceT]):
    """Sequences of one model, batched."""

    def prepare(self, request: GenerateRequest) -> list[SequenceT]:
        """The request's n sequences, checked against the model; touches no state of the batch.

        Safe on any thread. Raises InvalidRequest or ContextTooLong.
        """

    def add(self, sequence: SequenceT) -> None:
        """Queue a prepared sequence."""

    def cancel(self, sequence: SequenceT) -> None:
        """Forget a sequence wherever it is; nothing happens if it has finished."""

    @property
    def busy(self) -> bool:
        """Whether step() has anything to do."""

    def step(self) -> list[tuple[SequenceT, Chunk]]:
        """Call the model once, and return what became of it."""

    def interrupt(self) -> None:
        """Let a step() that only waits for somebody else return early; from any thread."""

    def occupancy(self) -> Occupancy:
        """How many run and wait, and on how much KV memory."""

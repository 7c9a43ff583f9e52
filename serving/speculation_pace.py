"""Whether to verify a draft or to decode one token: by what both take, and what drafts were worth.

Pure arithmetic over measured seconds, as in `prefill_pace`. It may depend on the clock because
answers do not depend on it: a verified token is bit for bit the decoded one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from statistics import median

JUDGEMENT_WEIGHT = 0.1  # of the newest drafted token in the rate; about the last twenty count
ASSUMED_STEPS = 1.5  # decode steps a verification is taken to cost before it was measured
# Times faster than decoding it must look: who verifies whenever the rate is high by chance loses.
LEAST_GAIN = 1.15
NUM_MEASURED = 5  # the latest of each kind count, and of them the median: no one-off does
FORGET_AFTER = 512  # steps without a verification, then the costs are measured anew


class AcceptanceRate:
    """How often the drafted tokens of one sequence were right: an average that forgets.

    Drafts are judged also while none is verified: the next decoded token shows whether the first
    of them would have been right. So a text that stops repeating itself turns speculation off, and
    one that begins to turns it on, at no cost.
    """

    def __init__(self) -> None:
        self.value = 0.0

    def judge(self, num_right: int, num_wrong: int) -> None:
        """So many tokens were right, and then so many (0 or 1) wrong."""
        for right in (1.0,) * num_right + (0.0,) * num_wrong:
            self.value += JUDGEMENT_WEIGHT * (right - self.value)


class SpeculationPace:
    """Measured seconds of a decode step of one sequence, and of verifying, by number of tokens."""

    def __init__(self, verify_sizes: Sequence[int]) -> None:
        self._sizes = verify_sizes
        self._decode_s: deque[float] = deque(maxlen=NUM_MEASURED)
        self._verify_s: dict[int, deque[float]] = {}
        self._warm: set[int] = set()
        self._steps_without = 0

    def decoded(self, seconds: float) -> None:
        self._decode_s.append(seconds)
        self._steps_without += 1
        if self._steps_without == FORGET_AFTER:
            self._verify_s.clear()

    def verified(self, num_tokens: int, seconds: float) -> None:
        """A call read that many tokens; a size's first call does not count: memory is planned."""
        size = self._size(num_tokens)
        if size in self._warm:
            self._verify_s.setdefault(size, deque(maxlen=NUM_MEASURED)).append(seconds)
        self._warm.add(size)
        self._steps_without = 0

    def draft_length(self, num_drafted: int, room: int, acceptance: float) -> int:
        """How many of the drafted tokens to verify now; 0: decoding is faster.

        `room`: tokens that the row may still take.
        """
        lengths = {min(size - 1, num_drafted) for size in self._sizes if size <= room}
        gains = {length: self._gain(length, acceptance) for length in lengths}
        best = max(gains, key=gains.__getitem__, default=0)
        return best if gains and gains[best] >= LEAST_GAIN else 0

    def _gain(self, length: int, acceptance: float) -> float:
        """Tokens in the time of a decode step, when drafts of this length are verified."""
        if not (length and self._decode_s):
            return 0.0
        tokens = sum(acceptance**place for place in range(length + 1))
        measured = self._verify_s.get(self._size(length + 1))
        steps = median(measured) / median(self._decode_s) if measured else ASSUMED_STEPS
        return tokens / steps

    def _size(self, num_tokens: int) -> int:
        return next(size for size in self._sizes if size >= num_tokens)

"""How much of a prompt is read at a time, so that running streams do not feel it.

The sizes follow from measured speeds, so they differ from run to run; answers do not, since a
prompt read in chunks leaves bit for bit the KV of a prompt read whole (see `chunk_size`).
"""

from __future__ import annotations

PREFILL_STALL_STEPS = 3  # a decode step may be delayed by prompts for about this many steps
MIN_PREFILL_CHUNK = 16  # tokens; smaller chunks waste more on the call than they free for decoding
MIN_LAST_CHUNK = 8  # tokens; fewer may take other kernels (one in ONNX Runtime, seven in llama.cpp)
MAX_PREFILL_CHUNK = 512  # tokens, when nothing decodes: bounds the wait of newcomers


class PrefillPace:
    """Measured speed of the model, for sizing chunks: how long a step and a prompt token take."""

    def __init__(self) -> None:
        self._decode_s = 0.0
        self._prefill_token_s = 0.0

    def decoded(self, seconds: float) -> None:
        self._decode_s = _smooth(self._decode_s, seconds)

    def prefilled(self, num_tokens: int, seconds: float) -> None:
        self._prefill_token_s = _smooth(self._prefill_token_s, seconds / num_tokens)

    def allowance(self) -> int:
        """Prompt tokens that take about PREFILL_STALL_STEPS decode steps to read."""
        if not (self._decode_s and self._prefill_token_s):
            return MIN_PREFILL_CHUNK
        tokens = PREFILL_STALL_STEPS * self._decode_s / self._prefill_token_s
        return int(min(max(tokens, MIN_PREFILL_CHUNK), MAX_PREFILL_CHUNK))


def _smooth(average: float, value: float) -> float:
    return value if not average else 0.8 * average + 0.2 * value


def chunk_size(num_unread: int, allowance: int) -> int:
    """How many of the unread prompt tokens to read now: never leaves fewer than MIN_LAST_CHUNK.

    A chunk of a few tokens takes another kernel than longer ones and its sums round differently, so
    an answer would depend on how its prompt happened to be cut.
    """
    size = min(num_unread, max(allowance, MIN_PREFILL_CHUNK))
    rest = num_unread - size
    return size - (MIN_LAST_CHUNK - rest) if 0 < rest < MIN_LAST_CHUNK else size

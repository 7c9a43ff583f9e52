"""How often a stream is written: every event costs the replica, the proxy and the client.

While few streams run each token leaves at once. While many do, an event carries as many tokens as
come within a window that no eye notices; vLLM itself counts them (its `stream_interval`), which
saves the making of events too. The first token and the last never wait.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from serving.gpu.coalesce import Window

BUSY_STREAMS = 8
WINDOW_PER_STREAM_S = 0.0015
LONGEST_WINDOW_S = 0.05
# Should tokens come more slowly later on, an event still carries as many: so there is an end.
MOST_TOKENS = 16
GAP_MEMORY = 0.9  # of each step's mean gap, how much of what was known before stays

FIELD = "stream_interval"  # a field of vLLM's requests
CHAT = "/v1/chat/completions"


def busy_window_s(num_running: int) -> float:
    """Seconds that a token may wait for others: none while few streams run."""
    if num_running < BUSY_STREAMS:
        return 0.0
    return min(num_running * WINDOW_PER_STREAM_S, LONGEST_WINDOW_S)


def tokens_within(window_s: float, gap_s: float) -> int:
    """How many tokens of a stream come within the window; at least the one it is about."""
    if gap_s <= 0:
        return 1
    return max(1, int(min(window_s / gap_s, MOST_TOKENS)))


class StreamPace:
    """Decides for each request, from how many run and how fast their tokens come."""

    def __init__(self, num_running: Callable[[], int], coalesce_ms: float = 0.0) -> None:
        """`coalesce_ms`: the window of writes behind a proxy that pays for each; 0: by load."""
        self._num_running = num_running
        self._fixed_window_s = coalesce_ms / 1000
        self._gap_s = 0.0

    def hear(self, gaps_s: Sequence[float]) -> None:
        """The time since each stream's last token, of one step of vLLM's."""
        if gaps_s:
            mean = sum(gaps_s) / len(gaps_s)
            known = self._gap_s or mean
            self._gap_s = GAP_MEMORY * known + (1 - GAP_MEMORY) * mean

    def stream_interval(self) -> int:
        """Tokens that an event of a stream that begins now should carry."""
        with_it = self._num_running() + 1
        return tokens_within(busy_window_s(with_it), self._gap_s)

    def window_s(self, *, decided: bool) -> Window:
        """For how long a stream's writes gather. Those of one of which it is decided how many
        tokens its events carry have waited already, and gather for the proxy's sake only.
        """
        if decided or self._fixed_window_s:
            return lambda: self._fixed_window_s
        return lambda: busy_window_s(self._num_running())


def may_share_events(
    path: str, given: Mapping[str, Any], fields: Collection[str], *, parses_chat: bool
) -> bool:
    """Whether an event of the answer may carry several tokens.

    `fields`: those the route knows. Not where the caller has chosen, and not where vLLM parses the
    answer of a chat while it streams: many of its parsers count on one token at a time.
    """
    if given.get("stream") is not True or FIELD not in fields or given.get(FIELD) is not None:
        return False
    return path != CHAT or not (parses_chat or given.get("tools"))

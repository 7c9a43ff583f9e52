"""Ends a text at the first stop string, and never shows a piece of one.

Text arrives in pieces cut anywhere. Held back is only the shortest end of the text that may still
grow into a stop string; everything before it is released at once. The result does not depend on
where the pieces were cut. Used by every engine of ours, one scanner for each choice.
"""

from __future__ import annotations

import re


class StopScanner:
    """Watches one text for several stop strings.

    The stop string that is complete first wins, that is the match that *ends* earliest: waiting
    for a longer one would cost tokens and might never end. Of several ending at the same
    character the longest wins, so that no piece of any of them is shown.
    """

    def __init__(self, stops: tuple[str, ...], *, include_stop: bool = False) -> None:
        """`include_stop` shows the stop string, too. ValueError: a stop string is empty."""
        if not all(stops):
            raise ValueError("a stop string may not be empty")
        self._stops = stops
        self._include_stop = include_stop
        self._longest = max(map(len, stops), default=0)
        self._first_characters = re.compile("|".join({re.escape(stop[0]) for stop in stops}))
        self._held = ""

    def push(self, text: str) -> tuple[str, str | None]:
        """The text that may be shown now, and the stop string that ended it.

        After a stop string was returned the scanner is done: what followed it is dropped.
        """
        if not self._stops:
            return text, None
        seen = self._held + text
        found = self._first_match(seen)
        if found is None:
            keep = self._start_of_unfinished(seen)
            self._held = seen[keep:]
            return seen[:keep], None
        end, stop = found
        self._held = ""
        return seen[: end if self._include_stop else end - len(stop)], stop

    def flush(self) -> str:
        """What was held back, when the text ends otherwise."""
        held, self._held = self._held, ""
        return held

    def _first_match(self, seen: str) -> tuple[int, str] | None:
        """Where the winning stop string ends in `seen`, and which it is."""
        ends = [(at + len(stop), stop) for stop in self._stops if (at := seen.find(stop)) >= 0]
        return min(ends, key=lambda match: (match[0], -len(match[1])), default=None)

    def _start_of_unfinished(self, seen: str) -> int:
        """Where the longest end of `seen` begins that a stop string begins with."""
        earliest = max(0, len(seen) - self._longest + 1)
        for match in self._first_characters.finditer(seen, earliest):
            if any(stop.startswith(seen[match.start() :]) for stop in self._stops):
                return match.start()
        return len(seen)

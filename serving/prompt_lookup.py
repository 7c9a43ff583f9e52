"""Guesses how a text goes on from how it went on before: prompt lookup decoding.

The last few tokens of prompt and answer are looked for earlier in both; what followed them there is
the draft. It costs no model, and hits wherever an answer quotes its prompt or repeats itself.
(Saxena, "Prompt Lookup Decoding", 2023; vLLM's ngram speculation.)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

NGRAM_SIZES = (4, 3, 2)  # tokens to look for, the longest first: it knows best


class PromptLookup:
    """A text that grows, and where each n-gram in it was followed by what."""

    def __init__(self) -> None:
        self._tokens: list[int] = []
        self._places: dict[tuple[int, ...], int] = {}  # n-gram → place of the token after its last

    def __len__(self) -> int:
        return len(self._tokens)

    def extend(self, token_ids: Iterable[int]) -> None:
        """The text goes on with these."""
        tokens, places = self._tokens, self._places
        for token in token_ids:
            end = len(tokens)
            for size in NGRAM_SIZES:
                if size <= end:
                    places[tuple(tokens[end - size :])] = end
            tokens.append(token)

    def propose(self, count: int) -> Sequence[int]:
        """The next `count` tokens, if the text goes on as after the latest place like its end.

        Empty if there is none. Where that place is nearer to the end than `count`, the text has
        begun to go round in a circle, and the draft goes on round it.
        """
        end = len(self._tokens)
        for size in NGRAM_SIZES:
            place = self._places.get(tuple(self._tokens[-size:])) if size < end else None
            if place is not None:
                draft = self._tokens[place : place + count]
                return [draft[index % len(draft)] for index in range(count)]
        return []

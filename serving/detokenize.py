"""Tokens to text, one token at a time, without broken characters or lost spaces.

A tokenizer can only decode whole runs of tokens: a token may hold half a character, and some
tokenizers strip the space before a run's first word. So each new piece is the difference between
decoding a short window with and without the newest tokens (the method of Hugging Face's
text-generation-inference and of vLLM).
"""

from __future__ import annotations

from collections.abc import Sequence

from serving.tokenizer import Tokenizer

CONTEXT_TOKENS = 4  # of the prompt, decoded with the first answer token so that its space is kept
MAX_HELD_TOKENS = 6  # a character has at most 4 bytes: more tokens than that never complete one
REPLACEMENT = "\ufffd"


class IncrementalDetokenizer:
    """The growing text of one answer: `"".join(pieces) + flush()` is the whole text."""

    def __init__(
        self, tokenizer: Tokenizer, prompt_ids: Sequence[int], *, skip_special_tokens: bool = True
    ) -> None:
        self._tokenizer = tokenizer
        self._skip = skip_special_tokens
        self._window = list(prompt_ids[-CONTEXT_TOKENS:])  # tokens decoded again at each push
        self._num_shown = len(self._window)  # how many of them are in the text already
        self._shown = self._decode(self._window)

    def push(self, token_id: int) -> str:
        """The text this token completes; "" while it only begins a character."""
        self._window.append(token_id)
        text = self._decode(self._window)
        held = len(self._window) - self._num_shown
        if text.endswith(REPLACEMENT) and held < MAX_HELD_TOKENS:
            return ""
        return self._show(text)

    def flush(self) -> str:
        """What was held back in hope of the rest of a character that never came."""
        if len(self._window) == self._num_shown:
            return ""
        return self._show(self._decode(self._window))

    def _show(self, text: str) -> str:
        piece = text[len(self._shown) :]
        if piece:  # the newest tokens alone are context enough for what comes next
            self._keep(self._window[self._num_shown :])
        elif len(self._window) > self._num_shown + MAX_HELD_TOKENS:  # a run of hidden tokens
            self._keep(self._window[-CONTEXT_TOKENS:])
        return piece

    def _keep(self, window: list[int]) -> None:
        self._window = window
        self._num_shown = len(window)
        self._shown = self._decode(window)

    def _decode(self, token_ids: list[int]) -> str:
        return self._tokenizer.decode(token_ids, skip_special_tokens=self._skip)

"""One choice's answer as it grows: tokens go in, chunks that may be shown come out.

Here it is decided when an answer ends, what text may leave, and which tokens go with that text.
Nothing of a stop string leaves, neither as text nor among the logprobs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from serving.detokenize import IncrementalDetokenizer
from serving.stop_strings import StopScanner
from serving.tokenizer import Tokenizer
from serving.types import Chunk, FinishReason, SamplingParams, TokenLogprob


class Answer:
    """The text of one choice, its end, and the logprobs that wait for their text."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        params: SamplingParams,
        prompt_ids: Sequence[int],
        max_tokens: int,
        index: int,
    ) -> None:
        self._params = params
        self._index = index
        self._max_tokens = max_tokens
        self._end_ids = set(params.stop_token_ids)
        if not params.ignore_eos:
            self._end_ids |= tokenizer.eos_token_ids
        self._detokenizer = IncrementalDetokenizer(
            tokenizer, prompt_ids, skip_special_tokens=params.skip_special_tokens
        )
        self._stops = StopScanner(params.stop, include_stop=params.include_stop_str_in_output)
        self._num_tokens = 0
        self._num_characters = 0  # decoded so far, shown or held back
        self._num_shown = 0  # characters that left
        # Tokens whose text is not all shown yet: where it ends, the token, its logprob.
        self._held: deque[tuple[int, int, TokenLogprob | None]] = deque()

    def push(self, token_id: int, logprob: TokenLogprob | None = None) -> Chunk:
        """The chunk that follows from this token; its text may be empty."""
        self._num_tokens += 1
        early = self._num_tokens <= self._params.min_tokens
        if token_id in self._end_ids and not early:
            return self._last_chunk("stop", "")
        text = self._detokenizer.push(token_id)
        self._num_characters += len(text)
        # A token that only begins a character goes with that character.
        end = self._num_characters + (not text)
        self._held.append((end, token_id, logprob))
        if not early:
            text, stop = self._stops.push(text)
            if stop is not None:
                return self._chunk(text, "stop")
        if self._num_tokens >= self._max_tokens:
            return self._last_chunk("length", text)
        return self._chunk(text, None)

    def _last_chunk(self, finish_reason: FinishReason, text: str) -> Chunk:
        """The end without a stop string: all that was held back leaves, texts and tokens."""
        shown, stop = self._stops.push(self._detokenizer.flush())
        text += shown if stop is not None else shown + self._stops.flush()
        return self._chunk(text, finish_reason, all_tokens=True)

    def _chunk(
        self, text: str, finish_reason: FinishReason | None, *, all_tokens: bool = False
    ) -> Chunk:
        self._num_shown += len(text)
        token_ids: list[int] = []
        logprobs: list[TokenLogprob] = []
        while self._held and (all_tokens or self._held[0][0] <= self._num_shown):
            _, token_id, logprob = self._held.popleft()
            token_ids.append(token_id)
            if logprob is not None:
                logprobs.append(logprob)
        return Chunk(
            index=self._index,
            text=text,
            token_ids=tuple(token_ids),
            num_tokens=1,
            logprobs=None if self._params.logprobs is None else tuple(logprobs),
            finish_reason=finish_reason,
        )

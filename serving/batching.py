"""Continuous batching: sequences join and leave a running batch between any two model calls.

`ContinuousBatcher.step()` makes one call of the model, either a chunk of a prompt or one token for
every running sequence, and returns what became of it. It is synchronous, owns all its state and
knows neither threads nor asyncio: `serving.step_thread` runs it on its own thread.

A sequence goes waiting → reading (prefill) → running (decode) → finished. It leaves `waiting` in
order of arrival, as soon as a row and the KV memory for its *whole* answer are free: so nothing
that runs is ever stopped for lack of memory. Reading and running alternate: after every decode
step prompts may be read for as long as PREFILL_STALL_STEPS decode steps take, no longer. A sequence
that runs alone may get several tokens of one call, if `serving.speculation` has a draft for it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from itertools import chain

import numpy as np

from serving.answer import Answer
from serving.kv_rows import KvRows, Rearrangement
from serving.logprobs import prompt_logprobs, token_logprobs
from serving.prefill_pace import MAX_PREFILL_CHUNK, PrefillPace, chunk_size
from serving.prefix_cache import MIN_TOKENS, PrefixCache, best_prefix
from serving.request_limits import answer_length, check_token_ids
from serving.sampling import RowSampler, sample
from serving.sequence import Sequence
from serving.speculation import Speculation
from serving.step_model import Logits, StepModel
from serving.tokenizer import Tokenizer
from serving.types import Chunk, GenerateRequest, Occupancy, PromptInfo

Output = tuple[Sequence, Chunk]


class ContinuousBatcher:
    """Waiting, reading and running sequences of one model. Not thread-safe."""

    def __init__(
        self,
        model: StepModel,
        tokenizer: Tokenizer,
        kv_cache_bytes: int,
        *,
        prefix_caching: bool = False,
        speculation: Speculation | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._kv_bytes_total = kv_cache_bytes
        self._kv_bytes_used = 0
        self._speculation = speculation
        self._clock = clock
        self._pace = PrefillPace()
        self._allowance = 0  # prompt tokens that may be read before the next decode step
        self._rows: KvRows[Sequence] = KvRows(model.num_rows - 1)
        self._caches = prefix_caching
        self._cache = PrefixCache()
        self._waiting: deque[Sequence] = deque()
        self._reading: list[Sequence] = []  # in order of arrival

    # -- what callers say

    def prepare(self, request: GenerateRequest) -> list[Sequence]:
        """See Batcher."""
        params = request.sampling
        prompt_ids = np.asarray(self._tokenizer.encode(request.prompt), np.int64)
        kv_tokens = self._kv_bytes_total // self._model.kv_bytes_per_token
        length = self._model.max_model_len
        max_tokens = answer_length(params, len(prompt_ids), length, kv_tokens)
        check_token_ids(params, self._model.vocab_size)
        kv_bytes = (len(prompt_ids) + max_tokens) * self._model.kv_bytes_per_token
        never_yet = [*params.stop_token_ids, *self._tokenizer.eos_token_ids]
        prompt, arrived_s = prompt_ids.tolist(), self._clock()
        text = request.prompt if isinstance(request.prompt, str) else self._tokenizer.decode(prompt)
        return [
            Sequence(
                request=request,
                index=index,
                prompt_ids=prompt_ids,
                prompt_text=text,
                max_tokens=max_tokens,
                answer=Answer(self._tokenizer, params, prompt, max_tokens, index),
                sampler=RowSampler(params, prompt, index, never_yet),
                kv_bytes=kv_bytes,
                arrived_s=arrived_s,
            )
            for index in range(request.n)
        ]

    def add(self, sequence: Sequence) -> None:
        """See Batcher."""
        self._waiting.append(sequence)

    def cancel(self, sequence: Sequence) -> None:
        """See Batcher."""
        if sequence.finished:
            return
        sequence.finished = True
        if sequence in self._waiting:
            self._waiting.remove(sequence)
            return
        self._leave(sequence)

    @property
    def busy(self) -> bool:
        """See Batcher."""
        return bool(self._waiting or self._rows.num_used)

    def interrupt(self) -> None:
        """See Batcher: steps here compute, and never wait."""

    def occupancy(self) -> Occupancy:
        speculation = self._speculation
        return Occupancy(
            num_running=self._rows.num_used,
            num_waiting=len(self._waiting),
            kv_bytes_used=self._kv_bytes_used,
            kv_bytes_total=self._kv_bytes_total,
            num_draft_tokens=speculation.num_draft_tokens if speculation else 0,
            num_accepted_tokens=speculation.num_accepted_tokens if speculation else 0,
        )

    # -- one call of the model

    def step(self) -> list[Output]:
        """Let waiting sequences in, then read a piece of a prompt or decode one token for all."""
        self._admit()
        running = self._rows.decoding
        if self._reading and (not running or self._allowance > 0):
            return self._prefill(self._next_to_read())
        if running:
            self._allowance = self._pace.allowance()
            alone = self._speculation if len(running) == 1 else None
            return self._decode(list(running)) if alone is None else self._go_on(running[0], alone)
        return []

    def _admit(self) -> None:
        while self._waiting and not self._rows.full:
            sequence = self._waiting[0]
            if self._kv_bytes_used + sequence.kv_bytes > self._kv_bytes_total:
                break  # strictly in order: a small request may not starve a large one
            self._waiting.popleft()
            self._kv_bytes_used += sequence.kv_bytes
            self._take_row(sequence)
            self._reading.append(sequence)
            sequence.queue_s = self._clock() - sequence.arrived_s
        self._shrink_cache()

    def _take_row(self, sequence: Sequence) -> None:
        """Seat it, with what of its prompt is in some row already."""
        found = None
        if self._caches and not sequence.wants_prompt_logprobs:
            seated = ((self._rows.row_of(each), each.prompt_read) for each in self._rows.owners)
            found = best_prefix(sequence.prompt_ids, chain(self._cache.prompts(), seated))
        if found is None:
            self._cache.forget(self._rows.join(sequence, self._unused_row()))
            return
        source, length = found
        row = self._rows.join(sequence, source if source in self._cache else self._unused_row())
        self._cache.forget(row)
        if row != source:
            self._model.move_row(source, row, length)
        sequence.num_in_kv = sequence.num_cached = length

    def _unused_row(self) -> int | None:
        """The lowest free row that holds no prompt, or None if all do."""
        return next((row for row in self._rows.free if row not in self._cache), None)

    def _shrink_cache(self) -> None:
        """Prompts that are kept have the memory that sequences leave."""
        token_bytes = self._model.kv_bytes_per_token
        room = (self._kv_bytes_total - self._kv_bytes_used) // token_bytes
        while self._cache.num_tokens > room:
            self._model.release_row(self._cache.forget_oldest())

    def _next_to_read(self) -> Sequence:
        """The shortest remaining prompt first, but being passed over shortens what counts."""
        return min(self._reading, key=lambda each: each.num_unread - each.passed_over)

    def _prefill(self, sequence: Sequence) -> list[Output]:
        budget = self._allowance if self._rows.decoding else MAX_PREFILL_CHUNK
        size = chunk_size(sequence.num_unread, budget)
        start = sequence.num_in_kv
        began_s = self._clock()
        logits = self._model.prefill(
            self._rows.row_of(sequence),
            sequence.prompt_ids[start : start + size],
            start,
            all_logits=sequence.wants_prompt_logprobs,
        )
        self._pace.prefilled(size, self._clock() - began_s)
        self._allowance -= size
        sequence.num_in_kv += size
        for other in self._reading:
            if other is not sequence:
                other.passed_over += size
        if sequence.wants_prompt_logprobs:
            sequence.prompt_logits.append(logits.copy())
        return [] if sequence.num_unread else self._start(sequence, logits[-1:].copy())

    def _start(self, sequence: Sequence, logits: Logits) -> list[Output]:
        """The prompt is read: the first token, also of its siblings that would read it again."""
        siblings = [
            other
            for other in self._reading
            if other.request is sequence.request
            and other is not sequence
            and other.num_in_kv == other.num_cached
        ]
        outputs = []
        for sibling in siblings:
            length = len(sequence.prompt_ids)
            self._model.move_row(self._rows.row_of(sequence), self._rows.row_of(sibling), length)
            sibling.num_in_kv = length
        for each in [sequence, *siblings]:
            self._reading.remove(each)
            self._rearrange(self._rows.start_decoding(each))
            outputs += self._first_token(each, logits.copy())
        return outputs

    def _first_token(self, sequence: Sequence, logits: Logits) -> list[Output]:
        if sequence.max_tokens == 0:
            chunk = Chunk(index=sequence.index, finish_reason="length")
        else:
            chunk = self._next_tokens(logits, [sequence])[0]
        if chunk.finish_reason:
            self._finish(sequence)
        if sequence.index == 0:
            chunk = replace(chunk, prompt=self._prompt_info(sequence))
        return [(sequence, chunk)]

    def _go_on(self, sequence: Sequence, speculation: Speculation) -> list[Output]:
        """A step of the only running sequence: a draft verified, or a token decoded."""
        began_s = self._clock()
        draft = speculation.draft(sequence)
        if not draft:
            outputs = self._decode([sequence])
            speculation.decoded(sequence, self._clock() - began_s)
            return outputs
        logits = speculation.verify(sequence, draft)
        outputs = [(sequence, chunk) for chunk in self._accept(sequence, draft, logits)]
        speculation.verified(sequence, draft, len(outputs), self._clock() - began_s)
        return outputs

    def _accept(self, sequence: Sequence, draft: list[int], logits: Logits) -> list[Chunk]:
        """Tokens as decoding would choose them, as long as the draft had said the same."""
        chunks: list[Chunk] = []
        for row, drafted in enumerate([*draft, None]):
            sequence.num_in_kv += 1
            chunks += self._next_tokens(logits[row : row + 1], [sequence])
            if chunks[-1].finish_reason:
                self._finish(sequence)
            if sequence.finished or sequence.last_token != drafted:
                break
        return chunks

    def _decode(self, running: list[Sequence]) -> list[Output]:
        began_s = self._clock()
        tokens = np.array([sequence.last_token for sequence in running], np.int64)
        lengths = np.array([sequence.num_in_kv for sequence in running], np.int64)
        logits = self._model.decode(tokens, lengths)
        for sequence in running:
            sequence.num_in_kv += 1
        chunks = self._next_tokens(logits, running)
        self._pace.decoded(self._clock() - began_s)
        for sequence, chunk in zip(running, chunks, strict=True):
            if chunk.finish_reason:
                self._finish(sequence)
        return list(zip(running, chunks, strict=True))

    def _next_tokens(self, logits: Logits, sequences: list[Sequence]) -> list[Chunk]:
        """Sample a token for each row and push it into its answer."""
        wanted = [sequence.request.sampling.logprobs for sequence in sequences]
        raw = logits.copy() if any(count is not None for count in wanted) else logits
        tokens = sample(logits, [sequence.sampler for sequence in sequences])
        logprobs = token_logprobs(raw, tokens, wanted, self._tokenizer)
        chunks = []
        for sequence, token, logprob in zip(sequences, tokens.tolist(), logprobs, strict=True):
            sequence.answer_ids.append(token)
            chunks.append(sequence.answer.push(token, logprob))
        return chunks

    # -- leaving

    def _finish(self, sequence: Sequence) -> None:
        sequence.finished = True
        self._leave(sequence)

    def _leave(self, sequence: Sequence) -> None:
        if sequence in self._reading:
            self._reading.remove(sequence)
        row, change = self._rows.row_of(sequence), self._rows.leave(sequence)
        if self._caches and len(sequence.prompt_read) >= MIN_TOKENS:
            self._keep(sequence, row, change)
        self._rearrange(change)
        self._kv_bytes_used -= sequence.kv_bytes
        self._shrink_cache()

    def _keep(self, sequence: Sequence, row: int, change: Rearrangement[Sequence]) -> None:
        """Remember its prompt: where it is, or in an unused row if another moves to its place."""
        prompt = sequence.prompt_read
        if not change.moves:
            self._cache.keep(row, prompt, sequence.num_in_kv)
            return
        taken = {move.source for move in change.moves} | {row}
        unused = (each for each in self._rows.free if each not in self._cache)
        spare = next((each for each in unused if each not in taken), None)
        if spare is not None:
            self._model.move_row(row, spare, len(prompt))
            self._cache.keep(spare, prompt, len(prompt))

    def _rearrange(self, change: Rearrangement[Sequence]) -> None:
        for move in change.moves:
            self._cache.forget(move.target)
            self._model.move_row(move.source, move.target, move.owner.num_in_kv)
        for row in change.vacated:
            if row not in self._cache:
                self._model.release_row(row)

    def _prompt_info(self, sequence: Sequence) -> PromptInfo:
        """What a request's first chunk tells about its prompt."""
        logprobs = None
        if sequence.wants_prompt_logprobs:
            logits = np.concatenate(sequence.prompt_logits)
            count = sequence.request.sampling.logprobs or 0
            logprobs = prompt_logprobs(logits, sequence.prompt_ids, count, self._tokenizer)
            sequence.prompt_logits.clear()
        return PromptInfo(
            num_tokens=len(sequence.prompt_ids),
            text=sequence.prompt_text,
            queue_s=sequence.queue_s,
            logprobs=logprobs,
        )

"""A `Batcher` over OpenVINO GenAI, which schedules, samples and keeps the KV cache itself.

What is left to us: who may run. OpenVINO takes KV blocks as a sequence grows and, when none are
left, stops somebody; so here each sequence is let in, in order of arrival, once the blocks of its
*whole* answer are free. Text, stop strings and ends are `serving.answer`'s, as everywhere.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from serving.answer import Answer
from serving.engines.openvino_worker import Add, Read, Stop
from serving.request_limits import answer_length, check_token_ids
from serving.sampling import GREEDY_BELOW
from serving.tokenizer import Tokenizer
from serving.types import Chunk, GenerateRequest, Occupancy, PromptInfo, SamplingParams
from serving.worker_process import WorkerProcess

BLOCK_TOKENS = 32  # of a KV block, on CPUs
SEEDS = 2**64
ALMOST_ONE = (
    1 - 2**-24
)  # OpenVINO takes no min_p of 1, which leaves the likeliest token as this does


@dataclass(slots=True, eq=False)
class Sequence:
    """One choice of one request."""

    request: GenerateRequest
    index: int
    prompt_ids: tuple[int, ...]
    prompt_text: str
    max_tokens: int
    answer: Answer
    num_blocks: int  # promised to it until it leaves
    arrived_s: float
    queue_s: float = 0.0
    key: int = -1  # the worker's name for it, once it runs
    begun: bool = False  # whether a chunk has been sent
    finished: bool = False


Output = tuple[Sequence, Chunk]


class OpenVINOBatcher:
    """Waiting and running sequences. Not thread-safe but for `prepare` and `interrupt`."""

    def __init__(
        self,
        worker: WorkerProcess,
        tokenizer: Tokenizer,
        *,
        vocab_size: int,
        max_model_len: int,
        max_num_seqs: int,
        num_kv_blocks: int,
        kv_block_bytes: int,
    ) -> None:
        self._worker = worker
        self._tokenizer = tokenizer
        self._vocab_size = vocab_size
        self._max_model_len = max_model_len
        self._max_num_seqs = max_num_seqs
        self._num_kv_blocks = num_kv_blocks
        self._kv_block_bytes = kv_block_bytes
        self._num_promised = 0
        self._waiting: deque[Sequence] = deque()
        self._running: dict[int, Sequence] = {}
        self._keys = count()
        # Said together before the next step: choices of one request then begin in the same one.
        self._unsaid: list[Add | Stop] = []

    def prepare(self, request: GenerateRequest) -> list[Sequence]:
        """See Batcher."""
        params = request.sampling
        prompt_ids = tuple(self._tokenizer.encode(request.prompt))
        kv_tokens = self._num_kv_blocks * BLOCK_TOKENS
        max_tokens = answer_length(params, len(prompt_ids), self._max_model_len, kv_tokens)
        check_token_ids(params, self._vocab_size)
        text = request.prompt
        if not isinstance(text, str):
            text = self._tokenizer.decode(prompt_ids)
        return [
            Sequence(
                request=request,
                index=index,
                prompt_ids=prompt_ids,
                prompt_text=text,
                max_tokens=max_tokens,
                answer=Answer(self._tokenizer, params, prompt_ids, max_tokens, index),
                num_blocks=num_blocks(len(prompt_ids) + max_tokens),
                arrived_s=time.perf_counter(),
            )
            for index in range(request.n)
        ]

    def add(self, sequence: Sequence) -> None:
        """See Batcher."""
        self._waiting.append(sequence)
        self._admit()

    def cancel(self, sequence: Sequence) -> None:
        """See Batcher."""
        if sequence.finished:
            return
        if sequence.key in self._running:
            self._leave(sequence)
            self._unsaid.append(Stop(sequence.key))
        else:
            sequence.finished = True
            self._waiting.remove(sequence)
        self._admit()

    @property
    def busy(self) -> bool:
        """See Batcher."""
        return bool(self._running or self._unsaid)

    def interrupt(self) -> None:
        """See Batcher."""
        self._worker.wake()

    def step(self) -> list[Output]:
        """Wait for the worker's next step, and make chunks of its tokens."""
        if self._unsaid:
            self._worker.send(self._unsaid)
            self._unsaid = []
        if not self._running:
            return []
        reads: list[Read] = self._worker.receive() or []
        outputs = [output for read in reads for output in self._chunks(read)]
        self._admit()
        return outputs

    def occupancy(self) -> Occupancy:
        return Occupancy(
            num_running=len(self._running),
            num_waiting=len(self._waiting),
            kv_bytes_used=self._num_promised * self._kv_block_bytes,
            kv_bytes_total=self._num_kv_blocks * self._kv_block_bytes,
        )

    def _admit(self) -> None:
        """Strictly in order: a small request may not starve a large one."""
        while self._waiting and len(self._running) < self._max_num_seqs:
            sequence = self._waiting[0]
            if self._num_promised + sequence.num_blocks > self._num_kv_blocks:
                return
            self._waiting.popleft()
            self._num_promised += sequence.num_blocks
            sequence.key = next(self._keys)
            sequence.queue_s = time.perf_counter() - sequence.arrived_s
            self._running[sequence.key] = sequence
            self._unsaid.append(Add(sequence.key, sequence.prompt_ids, self._sampling(sequence)))

    def _sampling(self, sequence: Sequence) -> dict[str, Any]:
        # One token is the least that can be asked for; an answer of none shows nothing of it.
        length = max(1, sequence.max_tokens)
        params = sequence.request.sampling
        ends = {*params.stop_token_ids, *self._tokenizer.eos_token_ids}
        return {"max_new_tokens": length, "stop_token_ids": ends} | generation_config(
            params, sequence.index
        )

    def _chunks(self, read: Read) -> list[Output]:
        sequence = self._running.get(read.key)
        if sequence is None:
            return []  # it left while the step ran
        outputs = []
        for token_id in read.token_ids:
            chunk = self._push(sequence, token_id)
            outputs.append((sequence, chunk))
            if chunk.finish_reason is not None:
                self._leave(sequence)
                self._unsaid.append(Stop(sequence.key))  # nothing to it if it ended by itself
                break
        return outputs

    def _push(self, sequence: Sequence, token_id: int) -> Chunk:
        if sequence.max_tokens == 0:
            chunk = Chunk(index=sequence.index, finish_reason="length")
        else:
            chunk = sequence.answer.push(token_id)
        if sequence.begun or sequence.index != 0:
            return chunk
        sequence.begun = True
        prompt = PromptInfo(len(sequence.prompt_ids), sequence.prompt_text, sequence.queue_s)
        return replace(chunk, prompt=prompt)

    def _leave(self, sequence: Sequence) -> None:
        sequence.finished = True
        del self._running[sequence.key]
        self._num_promised -= sequence.num_blocks


def num_blocks(num_tokens: int) -> int:
    """KV blocks that hold so many tokens."""
    return -(-num_tokens // BLOCK_TOKENS)


def generation_config(params: SamplingParams, index: int) -> dict[str, Any]:
    """The attributes of OpenVINO's GenerationConfig that follow from the parameters alone."""
    config = {
        "do_sample": params.temperature >= GREEDY_BELOW,
        "ignore_eos": params.ignore_eos,  # stop_token_ids are then ignored too, but not by us
        "min_new_tokens": params.min_tokens,  # until then none of stop_token_ids is chosen
        "repetition_penalty": params.repetition_penalty,
        "presence_penalty": params.presence_penalty,
        "frequency_penalty": params.frequency_penalty,
    }
    return config | (_randomness(params, index) if config["do_sample"] else {})


def _randomness(params: SamplingParams, index: int) -> dict[str, Any]:
    seed = secrets.randbelow(SEEDS) if params.seed is None else params.seed + index
    return {
        "temperature": params.temperature,
        "top_p": params.top_p,
        "min_p": min(params.min_p, ALMOST_ONE),
        "rng_seed": seed % SEEDS,  # each of a request's choices has its own
        **({"top_k": params.top_k} if params.top_k > 0 else {}),
    }

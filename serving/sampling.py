"""Choosing the next token, for a whole batch at once and for each request by its own rules.

What a row gets depends on that row alone: its logits, its parameters and its own random stream.
Rows are grouped by the work they need, every operation runs along a row, and each draw costs
exactly one number of the row's generator, so the neighbours never change an answer.

The order of operations is vLLM's: penalties and bias on the logits, temperature, then top_k,
top_p and min_p; logprobs are those of the raw logits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from serving.step_model import Logits, TokenIds
from serving.types import SamplingParams

Rows = npt.NDArray[np.intp]

GREEDY_BELOW = 1e-5  # temperatures under this would overflow the logits; vLLM's limit
NUCLEUS_CANDIDATES = 1024  # top_p looks at these first; almost always enough, sorting all is slow


class RowSampler:
    """One sequence's rules, its random stream, and the tokens its penalties look at."""

    def __init__(
        self,
        params: SamplingParams,
        prompt_ids: Sequence[int],
        index: int,
        never_yet: Iterable[int],
    ) -> None:
        """`index` tells the n choices of a request apart; `never_yet` are the tokens that may not
        come before min_tokens."""
        self.params = params
        seed = None if params.seed is None else [params.seed & (2**64 - 1), index]
        self._random = np.random.Generator(np.random.PCG64(seed))
        self._never_yet = np.fromiter(never_yet, np.intp)
        self._bias_ids = np.fromiter(params.logit_bias.keys(), np.intp)
        self._bias = np.fromiter(params.logit_bias.values(), np.float32)
        self._counts: dict[int, int] = {}  # of answer tokens
        self._prompt_ids = (
            frozenset(prompt_ids) if params.repetition_penalty != 1.0 else frozenset()
        )
        self._num_tokens = 0
        self._penalises = bool(
            params.presence_penalty or params.frequency_penalty or params.repetition_penalty != 1.0
        )

    @property
    def greedy(self) -> bool:
        return self.params.temperature < GREEDY_BELOW

    @property
    def num_candidates(self) -> int:
        """How many of the likeliest tokens must be sorted; 0 when the order does not matter."""
        if self.params.top_k > 0:
            return self.params.top_k
        return NUCLEUS_CANDIDATES if self.params.top_p < 1.0 else 0

    @property
    def changes_logits(self) -> bool:
        held = self._num_tokens < self.params.min_tokens
        return self._penalises or held or bool(len(self._bias_ids))

    def change(self, logits: Logits) -> None:
        """Apply penalties, bias and min_tokens to this row's logits [vocab], in place."""
        params = self.params
        if params.repetition_penalty != 1.0:
            seen = np.fromiter(self._prompt_ids | self._counts.keys(), np.intp)
            values = logits[seen]
            factor = np.float32(params.repetition_penalty)
            logits[seen] = np.where(values > 0, values / factor, values * factor)
        if self._counts and (params.presence_penalty or params.frequency_penalty):
            ids = np.fromiter(self._counts.keys(), np.intp)
            counts = np.fromiter(self._counts.values(), np.float32)
            logits[ids] -= params.presence_penalty + params.frequency_penalty * counts
        if len(self._bias_ids):
            logits[self._bias_ids] += self._bias
        if self._num_tokens < params.min_tokens:
            logits[self._never_yet] = -np.inf

    def draw(self) -> float:
        """The next number of this row's own random stream, in [0, 1)."""
        return float(self._random.random())

    def count(self, token_id: int) -> None:
        """Remember the chosen token."""
        self._num_tokens += 1
        if self._penalises:
            self._counts[token_id] = self._counts.get(token_id, 0) + 1


def sample(logits: Logits, samplers: Sequence[RowSampler]) -> TokenIds:
    """One token for each row of logits [batch, vocab], which are changed in place."""
    for row, sampler in zip(logits, samplers, strict=True):
        if sampler.changes_logits:
            sampler.change(row)
    tokens = np.empty(len(samplers), np.int64)
    for num_candidates, rows in _groups(samplers).items():
        if num_candidates is None:
            tokens[rows] = _rows_of(logits, rows).argmax(axis=1)
        else:
            chosen = [samplers[row] for row in rows]
            tokens[rows] = _draw(_rows_of(logits, rows), chosen, num_candidates)
    for sampler, token in zip(samplers, tokens.tolist(), strict=True):
        sampler.count(token)
    return tokens


def _groups(samplers: Sequence[RowSampler]) -> dict[int | None, list[int]]:
    """Rows by the number of candidates they sort; None holds the greedy ones."""
    groups: dict[int | None, list[int]] = {}
    for row, sampler in enumerate(samplers):
        key = None if sampler.greedy else sampler.num_candidates
        groups.setdefault(key, []).append(row)
    return groups


def _rows_of(logits: Logits, rows: list[int]) -> Logits:
    return logits if len(rows) == len(logits) else logits[rows]


def _draw(logits: Logits, samplers: Sequence[RowSampler], num_candidates: int) -> TokenIds:
    """A random token for each row [rows, vocab]; the rows all sort `num_candidates` tokens."""
    temperature = np.array([sampler.params.temperature for sampler in samplers], np.float32)
    scaled = logits / temperature[:, None]
    scaled -= scaled.max(axis=1, keepdims=True)  # so that the likeliest token weighs exactly 1
    draws = np.array([sampler.draw() for sampler in samplers])
    min_p = np.array([sampler.params.min_p for sampler in samplers], np.float32)
    if num_candidates == 0:
        weights = np.exp(scaled)
        weights[weights < min_p[:, None]] = 0.0
        return _pick(weights, draws)
    top_p = np.array([sampler.params.top_p for sampler in samplers])
    limited = samplers[0].params.top_k > 0
    return _pick_sorted(scaled, draws, min_p, top_p, num_candidates, limited=limited)


def _pick_sorted(
    scaled: Logits,
    draws: npt.NDArray[np.float64],
    min_p: npt.NDArray[np.float32],
    top_p: npt.NDArray[np.float64],
    num_candidates: int,
    *,
    limited: bool,
) -> TokenIds:
    """Draw among the likeliest tokens. `limited`: num_candidates is top_k, nothing lies beyond."""
    ids = likeliest(scaled, num_candidates)
    weights = np.exp(np.take_along_axis(scaled, ids, axis=1))
    running = weights.cumsum(axis=1, dtype=np.float64)
    total = running[:, -1] if limited else np.exp(scaled).sum(axis=1, dtype=np.float64)
    too_few = running[:, -1] < top_p * total
    before = (running - weights) / total[:, None]  # probability of all likelier tokens
    weights[(before >= top_p[:, None]) | (weights < min_p[:, None])] = 0.0
    weights[:, 0] = 1.0  # the likeliest token is always possible
    tokens = np.take_along_axis(ids, _pick(weights, draws)[:, None], axis=1)[:, 0]
    if not limited and num_candidates < scaled.shape[1] and too_few.any():
        rows = np.flatnonzero(too_few)  # a flat distribution: sort these rows whole
        tokens[rows] = _pick_sorted(
            scaled[rows], draws[rows], min_p[rows], top_p[rows], scaled.shape[1], limited=False
        )
    return tokens


def _pick(weights: Logits, draws: npt.NDArray[np.float64]) -> TokenIds:
    """The inverse of each row's cumulative weights [rows, tokens] at its draw in [0, 1)."""
    running = weights.cumsum(axis=1, dtype=np.float64)
    threshold = draws * running[:, -1]
    picked = (running <= threshold[:, None]).sum(axis=1, dtype=np.int64)
    last: TokenIds = np.minimum(
        picked, weights.shape[1] - 1
    )  # a draw can round up to the whole weight
    return last


def likeliest(logits: Logits, count: int) -> TokenIds:
    """Ids of each row's `count` largest logits [rows, count], largest first, ties by lower id."""
    count = min(count, logits.shape[1])
    if count < logits.shape[1]:
        ids = np.argpartition(logits, -count, axis=1)[:, -count:]
        ids.sort(axis=1)
        values = np.take_along_axis(logits, ids, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        return np.take_along_axis(ids, order, axis=1)
    return np.argsort(-logits, axis=1, kind="stable")


def log_softmax(logits: Logits) -> Logits:
    """Natural-log probabilities of each row [rows, vocab]."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    total = np.exp(shifted).sum(axis=1, dtype=np.float64, keepdims=True)
    result: Logits = shifted - np.log(total).astype(np.float32)
    return result

"""`StepModel` over a model of transformers that keeps its own kind of cache: row by row.

State-space and hybrid models, and those with attention of their own, remember in ways that rows of
different length cannot share. Here each row has the cache that the model itself makes, and rows
are decoded one after another: correct, and as slow as so many single requests.
"""

from __future__ import annotations

import copy
import enum
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from serving.engines.transformers_model import CausalModel
from serving.step_model import Logits, TokenIds

CACHE_WORDS = ("past_key_values", "cache_params", "state")  # what models call their cache
PROBE = 8  # tokens after which the cache is measured, and again after twice as many


class NoCache(Exception):
    """The model cannot go on from what it has read."""


class Reading(enum.Enum):
    """How a model goes on from its cache."""

    CHUNKS = "prompts in pieces"
    TOKENS = "one token at a time after a prompt's first piece"
    WHOLE = "all tokens again for each new one"


@dataclass(slots=True)
class _Row:
    """What one sequence has left in the model; copied when it is shared and then goes on."""

    token_ids: list[int] = field(default_factory=list)
    cache: Any = None
    num_holders: int = 1


class OwnCacheDecoder:
    """A model whose rows decode one after another, each with its own cache."""

    def __init__(
        self, model: CausalModel, num_rows: int, max_model_len: int, reading: Reading
    ) -> None:
        self.num_rows = num_rows
        self.max_model_len = max_model_len
        self._model: CausalModel | None = model
        self.reading = reading
        self._cache_word = next((word for word in CACHE_WORDS if model.knows(word)), "")
        if reading is not Reading.WHOLE and not self._cache_word:
            raise NoCache("it takes no cache")
        self._rows: dict[int, _Row] = {}
        self.vocab_size, self.kv_bytes_per_token = self._measure()

    def prefill(self, row: int, token_ids: TokenIds, start: int, *, all_logits: bool) -> Logits:
        """See StepModel."""
        if start == 0:
            self.release_row(row)
        logits = self._read(self._own(row), token_ids.tolist())
        return logits if all_logits else logits[-1:]

    def decode(self, token_ids: TokenIds, lengths: TokenIds) -> Logits:
        """See StepModel."""
        rows = [self._read(self._own(row), [token]) for row, token in enumerate(token_ids.tolist())]
        return np.concatenate(rows)

    def move_row(self, source: int, target: int, length: int) -> None:
        self.release_row(target)
        moved = self._rows[source]
        assert len(moved.token_ids) == length, "a row is moved as it is"
        moved.num_holders += 1
        self._rows[target] = moved

    def release_row(self, row: int) -> None:
        left = self._rows.pop(row, None)
        if left is not None:
            left.num_holders -= 1

    def close(self) -> None:
        """Frees weights and caches; logits given out before stay valid."""
        self._model = None
        self._rows.clear()

    def _own(self, row: int) -> _Row:
        """The row's state, shared with no other row."""
        held = self._rows.setdefault(row, _Row())
        if held.num_holders > 1:
            held.num_holders -= 1
            with torch.inference_mode():
                held = _Row(list(held.token_ids), copy.deepcopy(held.cache))
            self._rows[row] = held
        return held

    def _read(self, row: _Row, token_ids: list[int]) -> Logits:
        """Append the tokens; logits [T, vocab] of their positions."""
        assert len(row.token_ids) + len(token_ids) <= self.max_model_len, "a row holds no more"
        with torch.inference_mode():
            parts = [self._call(row, part) for part in self._parts(row, token_ids)]
        return np.concatenate(parts)

    def _parts(self, row: _Row, token_ids: list[int]) -> Iterator[list[int]]:
        """The tokens as the model can take them."""
        if self.reading is Reading.TOKENS and row.token_ids:
            yield from ([token] for token in token_ids)
        else:
            yield token_ids

    def _call(self, row: _Row, token_ids: list[int]) -> Logits:
        assert self._model is not None, "the decoder is closed"
        start = len(row.token_ids)
        row.token_ids += token_ids
        if self.reading is Reading.WHOLE:
            whole = self._model.read(torch.tensor(row.token_ids))
            return whole[start:].numpy()  # type: ignore[no-any-return]  # torch's
        cache = self._model.new_cache() if row.cache is None else row.cache
        output = self._model(
            torch.tensor([token_ids]),
            use_cache=True,
            position_ids=torch.arange(start, start + len(token_ids))[None],
            **({} if cache is None else {self._cache_word: cache}),
        )
        row.cache = output.get(self._cache_word, cache)
        if row.cache is None:
            raise NoCache("it gives no cache back")
        logits: Logits = output.logits[0].float().numpy()
        return logits

    def _measure(self) -> tuple[int, int]:
        """The vocabulary, and bytes of cache for each token at full length."""
        probe, row = [0] * max(1, min(PROBE, self.max_model_len // 2)), _Row()
        vocab_size = self._read(row, probe).shape[1]
        first = num_bytes(row.cache)
        if 2 * len(probe) > self.max_model_len:
            return vocab_size, max(1, first)
        self._read(row, probe)
        slope = (num_bytes(row.cache) - first) // len(probe)
        fixed = first - slope * len(probe)  # what a state-space model keeps, however long the row
        return vocab_size, max(1, slope + max(0, fixed) // self.max_model_len)


def num_bytes(cache: Any) -> int:
    """Bytes of all tensors that an object holds."""
    return sum(tensor.numel() * tensor.element_size() for tensor in _tensors(cache, set()))


def _tensors(thing: Any, seen: set[int]) -> Iterator[Any]:
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, torch.Tensor):
        yield thing
    elif isinstance(thing, dict):
        for value in thing.values():
            yield from _tensors(value, seen)
    elif isinstance(thing, list | tuple):
        for value in thing:
            yield from _tensors(value, seen)
    elif hasattr(thing, "__dict__"):
        yield from _tensors(vars(thing), seen)

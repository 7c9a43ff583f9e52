"""Which way a model of PyTorch is decoded: chosen by trying, fastest way first.

The ways are tried on a short text, and the first one whose logits are those of the model without
any cache is taken.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch

from serving.engines.transformers_model import CausalModel, first_line
from serving.errors import ConfigError
from serving.step_model import Logits, StepModel, TokenIds

logger = logging.getLogger(__name__)

NUM_TOKENS = 24  # of the text that is read
# Of the logits' own spread: what rounding to 16 or fewer bits may cost. A wrong mask or position
# costs tenths.
MAX_ERROR = 0.1


def choose_decoder(exam: Exam, ways: Mapping[str, Callable[[], StepModel]]) -> StepModel:
    """The first of the ways that passes, or the last one, untried; and a line in the log."""
    *tried, (last, make_last) = ways.items()
    reasons: list[str] = []
    for words, make in tried:
        decoder, reason = _passed(exam, make)
        if decoder is not None:
            logger.info("%s is decoded %s%s", exam.name, words, "".join(reasons))
            return decoder
        reasons.append(f"; not {words}: {reason}")
    logger.warning("%s is decoded %s%s", exam.name, last, "".join(reasons))
    return make_last()


def _passed(exam: Exam, make: Callable[[], StepModel]) -> tuple[StepModel | None, str]:
    """The decoder if it answers as the model does, else why there is none."""
    try:
        decoder = make()
        error = exam.error_of(decoder)
    except Exception as failure:  # whatever a model raises for what it does not know
        return None, f"{type(failure).__name__}: {first_line(failure)}"
    if error <= exam.max_error:
        return decoder, ""
    decoder.close()
    return None, f"logits off by {error:.1%} of their spread"


class Exam:
    """A short text, and what the model makes of it without any cache."""

    def __init__(
        self, model: CausalModel, max_model_len: int, max_error: float = MAX_ERROR
    ) -> None:
        """Raises ConfigError for a model whose earlier logits change with later tokens, and for one
        that cannot be called with token ids alone.
        """
        num_tokens = min(NUM_TOKENS, max_model_len)
        self.name = model.name
        self.max_error = max_error
        vocab_size = model.config.vocab_size
        self._tokens: TokenIds = np.random.default_rng(0).integers(0, vocab_size, num_tokens)
        self._wanted = self._read(model, num_tokens)
        if not np.isfinite(self._wanted).all():
            raise ConfigError(
                f"data_type: {model.name} overflows in it; set data_type: bfloat16 or float32",
                param="data_type",
            )
        half = max(1, num_tokens // 2)
        if distance(self._read(model, half), self._wanted[:half]) > self.max_error:
            raise ConfigError(
                f"model_name: {model.name} reads text in both directions, so it cannot write it; "
                "choose a causal language model",
                param="model_name",
            )

    def _read(self, model: CausalModel, num_tokens: int) -> Logits:
        try:
            logits: Logits = model.read(torch.from_numpy(self._tokens[:num_tokens])).numpy()
        except Exception as error:  # whatever a model raises that wants more than token ids
            raise ConfigError(
                f"model_name: {model.name} cannot read a text of token ids "
                f"({type(error).__name__}: {first_line(error)}); choose another engine or model",
                param="model_name",
            ) from error
        return logits

    def error_of(self, decoder: StepModel) -> float:
        """Rows of different length read parts of the text and go on together to its end."""
        num_tokens = len(self._tokens)
        lengths = [num_tokens * part // 4 for part in (3, 1, 2)][: decoder.num_rows]
        lengths = [max(1, length) for length in lengths]
        read = []
        for row, length in enumerate(lengths):
            parts = [
                decoder.prefill(row, self._tokens[start:end], start, all_logits=True).copy()
                for start, end in _chunks(length)
            ]
            read.append(distance(np.concatenate(parts), self._wanted[:length]))
        at = np.array(lengths) + np.arange(num_tokens - max(lengths))[:, None]  # [steps, rows]
        steps = [decoder.decode(self._tokens[now], now).copy() for now in at]
        for row in range(len(lengths)):
            decoder.release_row(row)
        if not steps:
            return max(read)
        written = np.stack(steps)  # [steps, rows, vocab]
        return max(*read, *map(distance, written.swapaxes(0, 1), self._wanted[at.T]))


def _chunks(length: int) -> Iterator[tuple[int, int]]:
    """The text in two pieces, the second of several tokens, where it is long enough."""
    middle = length // 3
    if middle:
        yield 0, middle
    yield middle, length


def distance(got: Logits, wanted: Logits) -> float:
    """Root mean square of the difference, as a share of the standard deviation of `wanted`."""
    return float(np.sqrt(np.square(got - wanted).mean()) / wanted.std())

"""Logprobs as callers see them: of the raw logits, before penalties and temperature."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from serving.sampling import likeliest, log_softmax
from serving.step_model import Logits, TokenIds
from serving.tokenizer import Tokenizer
from serving.types import TokenLogprob


def token_logprobs(
    logits: Logits, tokens: TokenIds, wanted: Sequence[int | None], tokenizer: Tokenizer
) -> list[TokenLogprob | None]:
    """For each row of logits [batch, vocab] the logprob of its token, None where not wanted.

    `wanted` is how many alternatives each row lists (0: only its own token; None: no logprobs).
    """
    result: list[TokenLogprob | None] = [None] * len(wanted)
    rows = [row for row, count in enumerate(wanted) if count is not None]
    if rows:
        listed = _list(logits[rows], tokens[rows], [wanted[row] or 0 for row in rows], tokenizer)
        for row, logprob in zip(rows, listed, strict=True):
            result[row] = logprob
    return result


def prompt_logprobs(
    logits: Logits, prompt_ids: TokenIds, count: int, tokenizer: Tokenizer
) -> tuple[TokenLogprob, ...]:
    """The prompt's own tokens, each as predicted from those before it (logits [tokens, vocab])."""
    first = int(prompt_ids[0])
    rest = _list(logits[:-1], prompt_ids[1:], [count] * (len(prompt_ids) - 1), tokenizer)
    return (TokenLogprob(first, tokenizer.token_text(first), None), *rest)


def _list(
    logits: Logits, tokens: TokenIds, counts: list[int], tokenizer: Tokenizer
) -> list[TokenLogprob]:
    scores = log_softmax(logits)
    own = np.take_along_axis(scores, tokens[:, None], axis=1)[:, 0].tolist()
    ids = likeliest(scores, max(counts, default=0))
    values = np.take_along_axis(scores, ids, axis=1).tolist()
    text = tokenizer.token_text
    return [
        TokenLogprob(
            token,
            text(token),
            score,
            tuple(
                (top, text(top), value)
                for top, value in zip(row_ids[:count], row_values[:count], strict=True)
            ),
        )
        for token, score, row_ids, row_values, count in zip(
            tokens.tolist(), own, ids.tolist(), values, counts, strict=True
        )
    ]

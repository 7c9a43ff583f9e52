"""From the hidden states of a text's tokens to the text's vector.

A pooling takes hidden states [B, T, H], of texts padded behind their ends, and the texts' lengths
[B]; it gives [B, H]. What stands behind a text's end never counts.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Hidden = npt.NDArray[np.float32]
Lengths = npt.NDArray[np.int64]
Pooled = npt.NDArray[np.float32]

SMALLEST_NORM = 1e-12  # a vector of zeros stays one


def cls(hidden: Hidden, lengths: Lengths) -> Pooled:
    """The first token's."""
    return hidden[:, 0]


def last_token(hidden: Hidden, lengths: Lengths) -> Pooled:
    """The last token's."""
    return hidden[np.arange(len(hidden)), lengths - 1]


def mean(hidden: Hidden, lengths: Lengths) -> Pooled:
    """The mean over all tokens. Each text is summed alone, so that its neighbours' lengths do not
    change the order of the sum."""
    means = [text[:length].mean(axis=0) for text, length in zip(hidden, lengths, strict=True)]
    return np.stack(means)


def largest(hidden: Hidden, lengths: Lengths) -> Pooled:
    """The largest value of each dimension over all tokens."""
    tops = [text[:length].max(axis=0) for text, length in zip(hidden, lengths, strict=True)]
    return np.stack(tops)


POOLINGS: dict[str, Callable[[Hidden, Lengths], Pooled]] = {
    "cls": cls,
    "lasttoken": last_token,
    "max": largest,
    "mean": mean,
}


def finish(pooled: Pooled, dimensions: int | None, *, normalize: bool) -> Pooled:
    """The vectors [B, dimensions] that callers get: cut first, so that they end as unit vectors."""
    cut = np.ascontiguousarray(pooled[:, :dimensions])
    if not normalize:
        return cut
    norms = np.linalg.norm(cut, axis=1, keepdims=True)
    unit: Pooled = cut / np.maximum(norms, SMALLEST_NORM)
    return unit

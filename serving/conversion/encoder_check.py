"""Does the converted encoder say what its checkpoint says? Vectors of fixed texts are compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from serving.conversion.encoder_graph import Checkpoint
from serving.embedder import Vectors
from serving.engines.onnx_encoder import OnnxEncoder
from serving.pooling import POOLINGS, finish
from serving.sentence_encoder import SentenceEncoder
from serving.text_ids import TextEncoder

# Of different length and kind, because what int8 costs differs from text to text.
TEXTS = (
    "Hello!",
    "What is the capital of France?",
    "A man is eating food while a woman plays the violin in the park.",
    "Der schnelle braune Fuchs springt über den faulen Hund.",
    "def mean(values): return sum(values) / len(values)  # fails for an empty list",
    "On 12 March 2024 the invoice no. 4711-B over 1,299.95 EUR was paid in full.",
    "The lighthouse stood at the end of a long pier, and every evening the keeper climbed its two "
    "hundred steps to light the lamp. On clear nights he counted the ships: fishing boats coming "
    "home, a ferry on its way to the islands, and now and then a freighter far out. What would "
    "happen if he fell asleep? He had asked himself that question 12,000 times, and he knew that "
    "nobody would notice for an hour at most.",
    "yes",
)


def worst_cosine(
    checkpoint: Checkpoint, encoder: SentenceEncoder, texts: TextEncoder, folder: Path
) -> float:
    """The least similarity of a text's two vectors, by the checkpoint and by the graph in `folder`.

    The checkpoint reads each text alone, the graph all in one padded batch.
    """
    ids = [each[: checkpoint.max_model_len] for each in texts.encode(TEXTS)]
    pool = POOLINGS[encoder.pooling]
    wanted = [pool(checkpoint.read(each), np.array([len(each)]))[0] for each in ids]
    got = pool(*OnnxEncoder(folder, num_threads=2).read(ids))
    return float(cosines(np.stack(wanted), got).min())


def cosines(some: Vectors, others: Vectors) -> Vectors:
    """[N] of two lists of vectors [N, H]."""
    products = finish(some, None, normalize=True) * finish(others, None, normalize=True)
    similarities: Vectors = products.sum(axis=1)
    return similarities

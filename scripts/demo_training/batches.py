"""Training documents as batches of token ids.

Documents of like length share a batch, so that little is padding. Padding stands on the right of a
causal model: no attention mask is needed, nothing real can look at it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random

import torch
from demo_corpus import Document, training_documents
from tokenizers import Tokenizer

BATCH_TOKENS = 4096
MAX_DOCUMENT_TOKENS = 2048  # the few longer ones are left out
POOL_DOCUMENTS = 8192  # sorted by length together
IGNORE = -100  # a target that is not learnt


@dataclass(frozen=True)
class Batch:
    """`ids` int64 [rows, length]; `targets` likewise, each the next token or IGNORE."""

    ids: torch.Tensor
    targets: torch.Tensor


def batches(tokenizer: Tokenizer, seed: int) -> Iterator[Batch]:
    """Endless batches of about `BATCH_TOKENS` tokens; the same seed gives the same ones."""
    rng = Random(seed)
    documents = training_documents(seed)
    while True:
        pool = [encode(tokenizer, document) for document in islice(documents, POOL_DOCUMENTS)]
        pool = [row for row in pool if len(row) <= MAX_DOCUMENT_TOKENS]
        pool.sort(key=len)
        groups = list(_groups(pool))
        rng.shuffle(groups)
        yield from map(_collate, groups)


def encode(tokenizer: Tokenizer, document: Document) -> list[tuple[int, bool]]:
    """Each token with whether it is learnt. Spans are encoded apart, as engines meet them."""
    return [
        (token, span.learn)
        for span in document
        for token in tokenizer.encode(span.text, add_special_tokens=False).ids
    ]


def _groups(rows: Sequence[list[tuple[int, bool]]]) -> Iterator[list[list[tuple[int, bool]]]]:
    """Split sorted rows where the padded size would exceed a batch."""
    group: list[list[tuple[int, bool]]] = []
    for row in rows:
        if group and (len(group) + 1) * len(row) > BATCH_TOKENS:
            yield group
            group = []
        group.append(row)
    yield group


def _collate(rows: list[list[tuple[int, bool]]]) -> Batch:
    length = max(map(len, rows))
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    targets = torch.full((len(rows), length), IGNORE)
    for i, row in enumerate(rows):
        tokens = torch.tensor([token for token, _ in row])
        learn = torch.tensor([learnt for _, learnt in row])
        ids[i, : len(row)] = tokens
        targets[i, : len(row) - 1] = torch.where(learn[1:], tokens[1:], IGNORE)
    return Batch(ids, targets)

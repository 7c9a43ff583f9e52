"""The byte-level BPE tokenizer, in the dialect that old and new readers share.

Words are split by GPT-2's rules (llama.cpp's "gpt-2"), so every number the model can count to
becomes one token: it knows where to stop by seeing that token again. Every byte is in the
alphabet, so any UTF-8 text comes back as it went in.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import Any

from demo_corpus import SPECIAL_TOKENS, tokenizer_texts
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

VOCAB_SIZE = 2048
NUM_TEXTS = 100_000


def train_tokenizer(seed: int) -> Tokenizer:
    """Learn the merges from generated text."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = ByteLevelDecoder()
    trainer = BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(islice(tokenizer_texts(seed), NUM_TEXTS), trainer)
    return tokenizer


def portable_json(tokenizer: Tokenizer) -> dict[str, Any]:
    """`tokenizer.json` as readers from 2024 on know it: merges are "a b", not ["a", "b"]."""
    content: dict[str, Any] = json.loads(tokenizer.to_str())
    merges = content["model"]["merges"]
    content["model"]["merges"] = [
        merge if isinstance(merge, str) else " ".join(merge) for merge in merges
    ]
    return content

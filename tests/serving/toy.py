"""A toy model whose logits depend on every token in its row: a misplaced row changes the answer.

Its tokenizer is made of bytes and a few longer pieces, so that characters break across tokens.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from serving.errors import InvalidRequest
from serving.types import Message, Prompt

PIECES = [b" the", b" of", b"ing", b"\xe2\x82", b" \xf0\x9f", b"ab", b"stop", b"\n\n"]
EOS = 256 + len(PIECES)
VOCAB_SIZE = EOS + 1


class ToyTokenizer:
    """Tokens 0-255 are bytes, then PIECES, then end-of-sequence."""

    eos_token_ids = frozenset({EOS})

    def encode(self, prompt: Prompt) -> list[int]:
        if isinstance(prompt, str):
            return list(prompt.encode())
        ids: list[int] = []
        for part in prompt:
            ids += list(part.content.encode()) if isinstance(part, Message) else [part]
        if any(not 0 <= token < VOCAB_SIZE for token in ids):
            raise InvalidRequest("prompt: token id outside the vocabulary", param="prompt")
        return ids

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        return b"".join(self._bytes(token, skip_special_tokens) for token in token_ids).decode(
            errors="replace"
        )

    def _bytes(self, token: int, skip_special_tokens: bool) -> bytes:
        if token < 256:
            return bytes([token])
        if token == EOS:
            return b"" if skip_special_tokens else b"<eos>"
        return PIECES[token - 256]

    def token_text(self, token_id: int) -> str:
        return self.decode([token_id], skip_special_tokens=False)


class ToyModel:
    """A StepModel that keeps the token ids themselves as its KV cache."""

    vocab_size = VOCAB_SIZE
    kv_bytes_per_token = 16

    def __init__(self, num_sequences: int = 4, max_model_len: int = 256, flatness: float = 3.0):
        self.num_rows = num_sequences + 1
        self.max_model_len = max_model_len
        self._flatness = flatness
        self.kv = np.full((self.num_rows, max_model_len), -1, np.int64)
        self.calls: list[tuple[str, int]] = []  # ("prefill" | "decode", tokens)
        self.closed = False

    def prefill(self, row, token_ids, start, *, all_logits):
        assert start + len(token_ids) <= self.max_model_len
        assert len(token_ids) > 1 or start == 0, "a lone last token takes another kernel"
        self.calls.append(("prefill", len(token_ids)))
        self.kv[row, start : start + len(token_ids)] = token_ids
        ends = range(start + 1, start + len(token_ids) + 1)
        if not all_logits:
            ends = ends[-1:]
        return np.stack([self._logits(row, end) for end in ends])

    def decode(self, token_ids, lengths):
        self.calls.append(("decode", len(token_ids)))
        for row, (token, length) in enumerate(zip(token_ids, lengths, strict=True)):
            self.kv[row, length] = token
        return np.stack([self._logits(row, length + 1) for row, length in enumerate(lengths)])

    def move_row(self, source, target, length):
        self.kv[target, :length] = self.kv[source, :length]

    def release_row(self, row):
        self.kv[row] = -1

    def close(self):
        self.closed = True

    def _logits(self, row, length):
        tokens = self.kv[row, :length]
        assert (tokens >= 0).all(), "reads KV that was never written"
        seed = zlib.crc32(tokens.tobytes())
        logits = np.random.default_rng(seed).normal(0, self._flatness, VOCAB_SIZE)
        logits[EOS] += 2.0  # answers end by themselves now and then
        return logits.astype(np.float32)

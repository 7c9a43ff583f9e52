"""Texts to the token ids that an encoder reads, special tokens included. Safe on any thread."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from serving.embedder import Text
from serving.errors import ContextTooLong, InvalidRequest
from serving.tokenizer import load_tokenizer


class TextEncoder:
    """The tokenizer of a checkpoint folder, for whole texts."""

    def __init__(
        self, folder: Path, vocab_size: int, *, lower_case: bool, trust_remote_code: bool
    ) -> None:
        """Raises ConfigError where the folder holds no tokenizer."""
        self._tokenizer = load_tokenizer(folder, trust_remote_code=trust_remote_code)
        self._vocab_size = vocab_size
        self._lower_case = lower_case
        # The first call also forgets what tokenizer.json says of truncation and padding: that
        # changes the tokenizer, which may not happen while other threads use it.
        special = self._tokenizer("a", return_special_tokens_mask=True)["special_tokens_mask"]
        self._num_last = list(reversed(special)).index(0)  # special tokens behind the text

    @property
    def max_tokens(self) -> int:
        """Of a text, as far as the tokenizer knows; a huge number where it does not."""
        return int(self._tokenizer.model_max_length)

    def encode(self, inputs: Sequence[Text]) -> list[list[int]]:
        """Each input's ids; token ids stay as they are. Raises InvalidRequest, naming the input."""
        texts = [text for text in inputs if isinstance(text, str)]
        encoded = iter(self._encode_texts(texts))
        ids = [next(encoded) if isinstance(text, str) else list(text) for text in inputs]
        for number, given in enumerate(inputs):
            self._check(number, ids[number], is_text=isinstance(given, str))
        return ids

    def _encode_texts(self, texts: list[str]) -> list[list[int]]:
        if not texts:
            return []
        if self._lower_case:
            texts = [text.lower() for text in texts]
        ids: list[list[int]] = self._tokenizer(
            texts, return_attention_mask=False, return_token_type_ids=False, verbose=False
        )["input_ids"]
        return ids

    def _check(self, number: int, ids: list[int], *, is_text: bool) -> None:
        if not ids:
            raise InvalidRequest(f"input: text {number} has no tokens.", param="input")
        if not is_text and not 0 <= min(ids) <= max(ids) < self._vocab_size:
            raise InvalidRequest(
                f"input: text {number} holds a token id outside the vocabulary "
                f"(0 to {self._vocab_size - 1}).",
                param="input",
            )

    def truncate(self, text: Text, ids: list[int], max_tokens: int) -> list[int]:
        """The beginning of it; a text's last special tokens are kept, as tokenizers do."""
        num_last = min(self._num_last, max_tokens) if isinstance(text, str) else 0
        if len(ids) <= max_tokens:
            return ids
        return ids[: max_tokens - num_last] + ids[len(ids) - num_last :]


def check_lengths(texts: Sequence[Sequence[int]], max_model_len: int) -> None:
    """Raise ContextTooLong for the first text that is too long for the model."""
    for number, ids in enumerate(texts):
        if len(ids) > max_model_len:
            raise ContextTooLong(
                f"input: text {number} has {len(ids)} tokens, and this model reads {max_model_len} "
                "at most; send shorter texts, or truncate_prompt_tokens=-1 to have them cut.",
                param="input",
            )

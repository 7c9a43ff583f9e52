"""A checkpoint's tokenizer, to make prompts of exact length and to count what servers do not.

Read straight from `tokenizer.json`: nothing here needs transformers.
"""

from __future__ import annotations

import random
import re
from functools import cached_property
from pathlib import Path
from typing import Any

from serving.errors import ConfigError
from serving.model_source import find_folder

FILE = "tokenizer.json"
SPECIAL = re.compile(r"<.*>|\[\w+\]")  # what is no text: <s>, <|im_end|>, <0x0A>, [unused7]
NUM_WORDS = 2000
TRIES = 20


class BenchTokenizer:
    """Can be pickled: another process reads the file again."""

    def __init__(self, folder: str) -> None:
        """Raises ConfigError naming --tokenizer if there is no tokenizer in `folder`."""
        self._folder = folder
        self._tokenizer = _read(folder)

    def __reduce__(self) -> tuple[type[BenchTokenizer], tuple[str]]:
        return BenchTokenizer, (self._folder,)

    def count(self, text: str) -> int:
        """Tokens of the text alone, without those that begin or end a sequence."""
        return len(self._ids(text))

    def random_ids(self, num_tokens: int, key: str) -> tuple[int, ...]:
        """Ordinary tokens from all of the vocabulary."""
        return tuple(random.Random(key).choices(self._ordinary_ids, k=num_tokens))

    def random_text(self, num_tokens: int, key: str, *, head: str = "") -> str:
        """Words that with `head` before them have exactly so many tokens.

        Raises ConfigError if no such words are found.
        """
        chance = random.Random(key)
        words: list[str] = []
        for _ in range(TRIES):
            text = " ".join([head, *words] if head else words)
            excess = self.count(text) - num_tokens
            if excess == 0:
                return text
            if excess > 0:
                del words[-excess:]
            else:
                words += chance.choices(self._words, k=-excess)
        raise ConfigError(
            f"--tokenizer: no text of exactly {num_tokens} tokens was found with {self._folder}; "
            "use --route completions, which sends token ids"
        )

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    @cached_property
    def _ordinary_ids(self) -> list[int]:
        added = self._tokenizer.get_added_tokens_decoder()
        vocabulary: dict[str, int] = self._tokenizer.get_vocab()
        return sorted(
            number
            for token, number in vocabulary.items()
            if number not in added and not SPECIAL.fullmatch(token)
        )

    @cached_property
    def _words(self) -> list[str]:
        """Words that are one token each where a space is before them."""
        chance = random.Random(0)
        candidates = chance.sample(self._ordinary_ids, len(self._ordinary_ids))
        before = self.count("a")
        words: list[str] = []
        for number in candidates:
            word = self._tokenizer.decode([number]).strip()
            if word.isascii() and word.isalpha() and self.count(f"a {word}") == before + 1:
                words.append(word)
                if len(words) == NUM_WORDS:
                    break
        return words or ["a"]


def _read(folder: str) -> Any:
    from tokenizers import Tokenizer

    path = (find_folder(folder) or Path(folder)) / FILE
    if not path.is_file():
        raise ConfigError(
            f"--tokenizer: there is no {path}; give the folder of a checkpoint that has one"
        )
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing more special
        raise ConfigError(f"--tokenizer: {path} cannot be read: {error}") from error
    # Checkpoints of embedding models cut and fill texts to one length; here every token counts.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer

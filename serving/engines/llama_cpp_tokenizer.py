"""The vocabulary and the chat template inside a GGUF file, as `serving.tokenizer.Tokenizer`.

It opens the file by itself, vocabulary only, so that it lives as long as whoever uses it: prompts
may be encoded on any thread, also while the engine unloads its weights.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from pathlib import Path

import llama_cpp as lib

from serving.chat_template import ChatTemplate
from serving.engines.llama_cpp_library import GgufFile
from serving.errors import ConfigError
from serving.tokenizer import Tokenizer, checked_ids, no_chat_template
from serving.types import Message, Prompt

PIECE_BYTES = 256  # of most tokens' text; longer ones are asked for again
HIDDEN = lib.LLAMA_TOKEN_ATTR_CONTROL | lib.LLAMA_TOKEN_ATTR_UNKNOWN
SAMPLES = 500  # tokens that are compared to tell whether two vocabularies are the same
MAX_OTHERS = 0.1  # share of them that may be spelt otherwise: special tokens sometimes are


class GgufTokenizer:
    """The tokenizer of one GGUF file."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError for a file without a vocabulary that llama.cpp can read."""
        self._path = path
        self._file = GgufFile(path, vocab_only=True)
        weakref.finalize(self, self._file.close)
        vocab = self._file.vocab
        self.vocab_size = self._file.vocab_size
        ids = range(self.vocab_size)
        self._hidden = {each for each in ids if lib.llama_vocab_get_attr(vocab, each) & HIDDEN}
        self.eos_token_ids = frozenset(each for each in ids if lib.llama_vocab_is_eog(vocab, each))
        self._pieces: dict[int, bytes] = {}
        self._chat_template = self._read_chat_template()

    @property
    def has_chat_template(self) -> bool:
        return self._chat_template is not None

    def encode(self, prompt: Prompt) -> list[int]:
        """See Tokenizer."""
        if isinstance(prompt, str):
            return self._tokenize(prompt, add_special=True)
        if prompt and isinstance(prompt[0], Message):
            if self._chat_template is None:
                raise no_chat_template()
            turns = [turn for turn in prompt if isinstance(turn, Message)]
            return self._tokenize(self._chat_template.render(turns), add_special=False)
        return checked_ids([each for each in prompt if isinstance(each, int)], self.vocab_size)

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        """See Tokenizer."""
        hidden = self._hidden if skip_special_tokens else ()
        pieces = (self._piece(each) for each in token_ids if each not in hidden)
        return b"".join(pieces).decode("utf-8", errors="replace")

    def token_text(self, token_id: int) -> str:
        """See Tokenizer."""
        return self._piece(token_id).decode("utf-8", errors="replace")

    def check_is(self, other: Tokenizer, num_tokens: int) -> None:
        """Raise ConfigError unless `other`, of num_tokens, has these tokens under the same ids."""
        if num_tokens > self.vocab_size:
            raise ConfigError(
                f"model_name: the tokenizer.json beside {self._path} has {num_tokens} tokens and "
                f"the file {self.vocab_size}, so it is another model's; take the right file",
                param="model_name",
            )
        samples = range(0, num_tokens, max(1, num_tokens // SAMPLES))
        others = [each for each in samples if self.token_text(each) != other.token_text(each)]
        if len(others) > MAX_OTHERS * len(samples):
            raise ConfigError(
                f"model_name: {self._path} has other tokens than the tokenizer.json of its folder "
                f"(token {others[0]} is {self.token_text(others[0])!r} and "
                f"{other.token_text(others[0])!r}), so it is another model's; take the right file",
                param="model_name",
            )

    def _tokenize(self, text: str, *, add_special: bool) -> list[int]:
        data = text.encode("utf-8", errors="replace")
        room = len(data) + 2  # no token is shorter than a byte; two may be added at the ends
        tokens = (lib.llama_token * room)()
        count = lib.llama_tokenize(
            self._file.vocab, data, len(data), tokens, room, add_special, True
        )
        assert count >= 0, "a text has at most as many tokens as bytes"
        return list(tokens[:count])

    def _piece(self, token_id: int) -> bytes:
        piece = self._pieces.get(token_id)
        if piece is None:
            piece = self._pieces[token_id] = self._read_piece(token_id, PIECE_BYTES)
        return piece

    def _read_piece(self, token_id: int, room: int) -> bytes:
        buffer = ctypes.create_string_buffer(room)
        size = lib.llama_token_to_piece(self._file.vocab, token_id, buffer, room, 0, True)
        return self._read_piece(token_id, -size) if size < 0 else buffer.raw[:size]

    def _read_chat_template(self) -> ChatTemplate | None:
        source = lib.llama_model_chat_template(self._file.pointer, None)
        if source is None:
            return None
        vocab = self._file.vocab
        return ChatTemplate(
            source.decode("utf-8", errors="replace"),
            bos_token=self._special_text(lib.llama_vocab_bos(vocab)),
            eos_token=self._special_text(lib.llama_vocab_eos(vocab)),
        )

    def _special_text(self, token_id: int) -> str:
        return "" if token_id == lib.LLAMA_TOKEN_NULL else self.token_text(token_id)

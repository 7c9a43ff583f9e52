"""A checkpoint's tokenizer: prompts to token ids, token ids to text, and where texts end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from serving.errors import ConfigError, InvalidRequest
from serving.types import Message, Prompt


class Tokenizer(Protocol):
    """What batching needs of a tokenizer; tests bring their own tiny ones."""

    eos_token_ids: frozenset[int]

    def encode(self, prompt: Prompt) -> list[int]:
        """Token ids of a prompt; raises InvalidRequest when it cannot be one."""

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        """The text of these tokens, U+FFFD where their bytes are no whole character."""

    def token_text(self, token_id: int) -> str:
        """One token's own text, its leading space included."""


class CheckpointTokenizer:
    """The tokenizer, chat template and end-of-sequence ids of a checkpoint folder."""

    def __init__(self, folder: Path, vocab_size: int, *, trust_remote_code: bool = False) -> None:
        self._tokenizer = load_tokenizer(folder, trust_remote_code=trust_remote_code)
        # The Rust tokenizer behind transformers' wrapper decodes many times faster.
        self._fast = getattr(self._tokenizer, "backend_tokenizer", None)
        self._vocab_size = vocab_size
        self._texts: dict[int, str] = {}
        self.eos_token_ids = _eos_token_ids(folder, self._tokenizer.eos_token_id)

    @property
    def has_chat_template(self) -> bool:
        return bool(self._tokenizer.chat_template)

    @property
    def num_tokens(self) -> int:
        """How many it knows; a model's vocabulary may be padded to more."""
        return len(self._tokenizer)

    def encode(self, prompt: Prompt) -> list[int]:
        if isinstance(prompt, str):
            return list(self._tokenizer(prompt)["input_ids"])
        if prompt and isinstance(prompt[0], Message):
            text = self._render([turn for turn in prompt if isinstance(turn, Message)])
            return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])
        return checked_ids([each for each in prompt if isinstance(each, int)], self._vocab_size)

    def _render(self, messages: list[Message]) -> str:
        if not self.has_chat_template:
            raise no_chat_template()
        turns = [{"role": turn.role, "content": turn.content} for turn in messages]
        try:
            text: str = self._tokenizer.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=True
            )
        except Exception as error:  # whatever a template raises, it is about these messages
            raise InvalidRequest(
                f"the model's chat template refuses these messages: {error}", param="messages"
            ) from error
        return text

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        decoder: Any = self._fast or self._tokenizer
        text: str = decoder.decode(list(token_ids), skip_special_tokens=skip_special_tokens)
        return text

    def token_text(self, token_id: int) -> str:
        text = self._texts.get(token_id)
        if text is None:
            text = self.decode([token_id], skip_special_tokens=False)
            piece = self._tokenizer.convert_ids_to_tokens(token_id) or ""
            if piece.startswith("▁") and not text.startswith(" "):
                text = " " + text  # SentencePiece drops the space of a text's first word
            self._texts[token_id] = text
        return text


def checked_ids(token_ids: list[int], vocab_size: int) -> list[int]:
    """The same ids; raises InvalidRequest for one that the model does not have."""
    for token_id in token_ids:
        if not 0 <= token_id < vocab_size:
            raise InvalidRequest(
                f"prompt: token id {token_id} is outside the vocabulary (0 to {vocab_size - 1})",
                param="prompt",
            )
    return token_ids


def no_chat_template() -> InvalidRequest:
    return InvalidRequest("this model has no chat template; use /v1/completions", param="messages")


def load_tokenizer(folder: Path, *, trust_remote_code: bool) -> Any:
    """transformers' own tokenizer; ConfigError where the folder holds none that can be read."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            str(folder), trust_remote_code=trust_remote_code, local_files_only=True
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _no_tokenizer(folder, str(error).partition("\n")[0].strip(" :")) from error
    # Of some models transformers makes one without any file, and without any word.
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise _no_tokenizer(folder, "it has no vocabulary")
    return tokenizer


def _no_tokenizer(folder: Path, reason: str) -> ConfigError:
    return ConfigError(
        f"model_name: {folder} has no readable tokenizer ({reason}); copy tokenizer.json and "
        "tokenizer_config.json of the model into it",
        param="model_name",
    )


def _eos_token_ids(folder: Path, tokenizer_eos: int | None) -> frozenset[int]:
    """Ids that end a text: generation_config.json's list, and the tokenizer's own."""
    ids = set() if tokenizer_eos is None else {tokenizer_eos}
    for name in ("generation_config.json", "config.json"):
        path = folder / name
        found = json.loads(path.read_text()).get("eos_token_id") if path.is_file() else None
        if found is not None:
            ids.update(found if isinstance(found, list) else [found])
            break
    return frozenset(ids)

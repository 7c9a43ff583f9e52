"""GGUF files on the CPU by llama.cpp, with our own continuous batching and sampling.

Needs llama-cpp-python (the `llama-cpp` extra), which is compiled when it is installed. The model
source is a folder with one or more GGUF files, or one such file; how its weights are stored is the
file's own affair (Q8_0, Q5_K_M, ...).
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from serving.engine import nearest
from serving.engines.llama_cpp_memory import KV_TYPES, MAX_ROWS
from serving.errors import ConfigError
from serving.gguf_source import choose_file
from serving.step_model import StepModel
from serving.stepped_engine import SteppedEngine
from serving.tokenizer import CheckpointTokenizer, Tokenizer
from serving.types import EngineSettings

logger = logging.getLogger(__name__)

# The file says how weights are stored. `int8` is what every engine is told when nobody says more.
DATA_TYPES = ("auto", "int8")
CHECKPOINT_TOKENIZER = "tokenizer.json"  # of the model folder; used rather than the file's own


@dataclass(frozen=True, slots=True)
class LlamaCppOptions:
    """The engine_kwargs of llama_cpp."""

    gguf_file: str | None = None  # which of the folder's files, if there are several
    kv_type: str = "f16"  # how keys and values are stored: f16, or q8_0 in half the memory
    # A row's answer does not depend on its neighbours. Without, files of K-quants decode up to
    # twice as fast from 8 sequences on.
    batch_invariant: bool = True

    @classmethod
    def from_kwargs(cls, kwargs: Mapping[str, Any]) -> Self:
        """Raises ConfigError naming what is unknown or has no such value."""
        known = [field.name for field in fields(cls)]
        for name, value in kwargs.items():
            param = f"engine_kwargs.{name}"
            if name not in known:
                raise ConfigError(
                    f"{param}: the llama_cpp engine has no such option{nearest(name, known)}; it "
                    f"has {', '.join(known)}",
                    param=param,
                )
            kind = bool if name == "batch_invariant" else str
            if not isinstance(value, kind):
                raise ConfigError(
                    f"{param}: {value!r} is not {'true or false' if kind is bool else 'a name'}",
                    param=param,
                )
        options = cls(**kwargs)
        if options.kv_type not in KV_TYPES:
            param = "engine_kwargs.kv_type"
            raise ConfigError(
                f"{param}: there is no '{options.kv_type}'; set it to {' or '.join(KV_TYPES)}",
                param=param,
            )
        return options


class LlamaCppEngine(SteppedEngine):
    """One GGUF file in llama.cpp."""

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        self._options = LlamaCppOptions.from_kwargs(settings.engine_kwargs)
        if settings.data_type not in DATA_TYPES:
            raise ConfigError(
                f"data_type: the llama_cpp engine runs weights as their GGUF file stores them, not "
                f"as {settings.data_type}; leave it out and choose the file "
                "(engine_kwargs.gguf_file)",
                param="data_type",
            )
        if settings.max_num_seqs >= MAX_ROWS:
            raise ConfigError(
                f"batch_size: llama.cpp decodes at most {MAX_ROWS - 1} sequences together, not "
                f"{settings.max_num_seqs}; lower it",
                param="batch_size",
            )

    def open_model(self) -> StepModel:
        _check_library()
        from serving.engines.llama_cpp_decoder import LlamaCppDecoder, Wanted

        model = LlamaCppDecoder(
            self._file(),
            Wanted(
                max_num_seqs=self.settings.max_num_seqs,
                max_model_len=self.settings.max_model_len,
                kv_cache_bytes=self.settings.kv_cache_bytes,
                kv_type=self._options.kv_type,
                batch_invariant=self._options.batch_invariant,
                num_threads=self.settings.num_threads,
            ),
        )
        if model.num_rows <= self.settings.max_num_seqs:
            logger.warning(
                "KV memory for %d sequences of %d tokens at a time, not %d: raise kv_cache_bytes, "
                "lower max_model_len, or set kv_type: q8_0",
                model.num_rows - 1,
                model.max_model_len,
                self.settings.max_num_seqs,
            )
        return model

    def kv_cache_bytes(self, model: StepModel) -> int:
        """What the rows hold: llama.cpp has taken it already, within the budget."""
        return (model.num_rows - 1) * model.max_model_len * model.kv_bytes_per_token

    def open_tokenizer(self, vocab_size: int) -> Tokenizer:
        """The checkpoint's where its folder has one, else the GGUF file's own."""
        from serving.engines.llama_cpp_tokenizer import GgufTokenizer

        own = GgufTokenizer(self._file())
        if (self.settings.model_source / CHECKPOINT_TOKENIZER).is_file():
            tokenizer = super().open_tokenizer(vocab_size)
            assert isinstance(tokenizer, CheckpointTokenizer)
            own.check_is(tokenizer, tokenizer.num_tokens)
            return tokenizer
        if not own.has_chat_template:
            self.capabilities = self.capabilities - {"chat"}
        return own

    def _file(self) -> Path:
        return choose_file(self.settings.model_source, self._options.gguf_file)


def _check_library() -> None:
    """Raise ConfigError where llama-cpp-python is missing, or was compiled for another machine."""
    try:
        importlib.import_module("serving.engines.llama_cpp_library")
    except (ImportError, RuntimeError, OSError) as error:  # the last two: its shared library
        raise ConfigError(
            f"engine: llama_cpp needs llama-cpp-python, which does not work here ({error}); "
            "install requirements/llama-cpp.txt, which compiles it for this machine",
            param="engine",
        ) from error

"""`StepModel` over a GGUF file, run by llama.cpp on the CPU.

Rows are llama.cpp's sequences, each with a KV stream of its own: one pool for all would be read in
an order that depends on who came when, and each row would pay for the length of all. llama.cpp
takes and writes the whole KV memory when the context is made, so the budget decides then how many
rows there are.

What else makes a row's answer depend on its neighbours are kernels that are chosen by the number of
rows. So, unless speed is asked for instead: repacked weights and flash attention over f16 stay off,
and files with K-quants decode at most 7 rows a call. What is left, on x86: a file of F16, BF16 or
IQ4_NL matrices gives a row that decodes alone other last bits than one in company.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llama_cpp as lib
import numpy as np

from serving.engines.llama_cpp_batch import Batch
from serving.engines.llama_cpp_library import GgufFile, first_error, forget_errors
from serving.engines.llama_cpp_memory import padded_length, rows_within
from serving.errors import ConfigError
from serving.gguf_source import parts
from serving.kv_budget import kv_budget
from serving.memory import available_bytes
from serving.prefill_pace import MAX_PREFILL_CHUNK
from serving.step_model import Logits, TokenIds

GGML_TYPES = {"f16": lib.GGML_TYPE_F16, "q8_0": lib.GGML_TYPE_Q8_0}  # of each of KV_TYPES
# A CPU needs tens of seconds to read a longer context, and every row takes memory for the whole of
# it. Whoever wants one asks for it.
DEFAULT_MAX_MODEL_LEN = 4096
PROBE_LENGTH = 256  # tokens; the shortest context that llama.cpp makes
CELL_BYTES = 12  # what llama.cpp notes of a token beside its keys and values: position and rows
# From 8 rows on, matrices of K-quants are multiplied by tiles, which round differently. These file
# types (llama.h's llama_ftype: F32, F16, Q8_0, BF16) have none.
TILED_FROM = 8
NEVER_TILED = (0, 1, 7, 32)
GUESSED = 1024  # added to a file type that the file itself does not say


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the operator asks of a context."""

    max_num_seqs: int
    max_model_len: int | None
    kv_cache_bytes: int | None
    kv_type: str  # of KV_TYPES
    batch_invariant: bool  # rows do not feel each other, at the price of some speed
    num_threads: int


class LlamaCppDecoder:
    """One GGUF file and one context over it."""

    def __init__(self, path: Path, wanted: Wanted) -> None:
        """Maps the weights; raises ConfigError for a file or a setting that cannot work."""
        _check_memory(path)
        self._context: Any = None
        self._file = GgufFile(path, repack=not wanted.batch_invariant)
        try:
            _check_kind(self._file)
            self.vocab_size: int = self._file.vocab_size
            self.max_model_len: int = _model_len(self._file, wanted.max_model_len)
            self.kv_bytes_per_token: int = _kv_bytes_per_token(self._file, wanted)
            length = padded_length(self.max_model_len)
            self.num_rows: int = _num_rows(wanted, length * self.kv_bytes_per_token)
            self._context = _open_context(self._file, wanted, self.num_rows, length)
        except BaseException:
            self.close()
            raise
        self._memory: Any = lib.llama_get_memory(self._context)
        self._batch = Batch(max(MAX_PREFILL_CHUNK, self.num_rows))
        self._rows_per_call = _rows_per_call(self._file, wanted, self.num_rows)
        self._logits = np.empty((self.num_rows, self.vocab_size), np.float32)

    def prefill(self, row: int, token_ids: TokenIds, start: int, *, all_logits: bool) -> Logits:
        """See StepModel; only a whole prompt may have fewer than MIN_LAST_CHUNK tokens."""
        count = len(token_ids)
        assert start + count <= self.max_model_len, "the caller admitted more than a row holds"
        lib.llama_memory_seq_rm(self._memory, row, start, -1)
        positions = np.arange(start, start + count)
        return self._run(self._batch.fill(token_ids, positions, row, all_logits=all_logits))

    def decode(self, token_ids: TokenIds, lengths: TokenIds) -> Logits:
        """See StepModel."""
        count = len(token_ids)
        assert lengths.max() < self.max_model_len, "the caller let a sequence outgrow its row"
        if count <= self._rows_per_call:
            return self._decode(token_ids, lengths, 0)
        num_calls = -(-count // self._rows_per_call)
        for rows in np.array_split(np.arange(count), num_calls):
            self._logits[rows] = self._decode(token_ids[rows], lengths[rows], rows[0])
        return self._logits[:count]

    def _decode(self, token_ids: TokenIds, lengths: TokenIds, first_row: int) -> Logits:
        rows = np.arange(first_row, first_row + len(token_ids))
        return self._run(self._batch.fill(token_ids, lengths, rows, all_logits=True))

    def move_row(self, source: int, target: int, length: int) -> None:
        """See StepModel. llama.cpp's own copy would take a row's full length, whatever it holds."""
        size = lib.llama_state_seq_get_size(self._context, source)
        state = (ctypes.c_uint8 * size)()
        forget_errors()
        if not (
            lib.llama_state_seq_get_data(self._context, state, size, source)
            and lib.llama_state_seq_set_data(self._context, state, size, target)
        ):
            raise RuntimeError(f"llama.cpp could not copy a row ({first_error()})")
        lib.llama_memory_seq_rm(self._memory, target, length, -1)

    def release_row(self, row: int) -> None:
        """The row is empty for whoever comes next; its memory stays llama.cpp's."""
        lib.llama_memory_seq_rm(self._memory, row, -1, -1)

    def close(self) -> None:
        """Frees weights and KV memory; logits given out before are gone with them."""
        if self._context:
            lib.llama_free(self._context)
        self._context = None
        self._file.close()

    def _run(self, batch: Batch) -> Logits:
        """Logits of the positions that were asked for, [wanted, vocab], in llama.cpp's own memory.

        Raises RuntimeError when llama.cpp did not do it: the rows then hold what nobody knows.
        """
        forget_errors()
        status = lib.llama_decode(self._context, batch.struct)
        if status != 0:
            reason = "a row was full" if status == 1 else first_error()
            raise RuntimeError(f"llama_decode gave {status} ({reason})")
        pointer = lib.llama_get_logits(self._context)
        return np.ctypeslib.as_array(pointer, shape=(batch.num_wanted, self.vocab_size))


def _check_memory(path: Path) -> None:
    needed, free = sum(part.stat().st_size for part in parts(path)), available_bytes()
    if needed > free:
        raise ConfigError(
            f"model_name: the weights in {path} take {needed / 1e9:.1f} GB and only "
            f"{free / 1e9:.1f} GB of memory are free; give this model more memory or choose a "
            "smaller file",
            param="model_name",
        )


def _check_kind(file: GgufFile) -> None:
    """Raise ConfigError for what is no decoder that keeps keys and values of each token."""
    model = file.pointer
    found = {
        "an encoder": lib.llama_model_has_encoder(model) or not lib.llama_model_has_decoder(model),
        "a recurrent model": lib.llama_model_is_recurrent(model),
        "a hybrid of attention and recurrence": lib.llama_model_is_hybrid(model),
        "a diffusion model": lib.llama_model_is_diffusion(model),
    }
    for kind, is_one in found.items():
        if is_one:
            raise _wrong_kind(kind)


def _wrong_kind(kind: str) -> ConfigError:
    return ConfigError(
        f"model_name: the GGUF file holds {kind}, and the llama_cpp engine serves text decoders; "
        "choose another model",
        param="model_name",
    )


def _model_len(file: GgufFile, wanted: int | None) -> int:
    """Tokens a row holds; raises ConfigError for more than the model was made for."""
    made_for = int(lib.llama_model_n_ctx_train(file.pointer))
    if wanted is None:
        return min(made_for, DEFAULT_MAX_MODEL_LEN)
    if not 1 <= wanted <= made_for:
        raise ConfigError(
            f"max_model_len: {wanted} is outside what this model was made for; set it to a number "
            f"from 1 to {made_for}",
            param="max_model_len",
        )
    return wanted


def _rows_per_call(file: GgufFile, wanted: Wanted, num_rows: int) -> int:
    file_type = int(lib.llama_model_ftype(file.pointer)) & ~GUESSED
    if file_type in NEVER_TILED or not wanted.batch_invariant:
        return num_rows
    return min(num_rows, TILED_FROM - 1)


def _num_rows(wanted: Wanted, row_bytes: int) -> int:
    useful = (wanted.max_num_seqs + 1) * row_bytes
    budget = kv_budget(useful, wanted.kv_cache_bytes, available_bytes())
    return rows_within(budget, row_bytes, wanted.max_num_seqs)


def _open_context(file: GgufFile, wanted: Wanted, num_rows: int, length: int) -> Any:
    """A context of `num_rows` streams of `length` tokens; raises ConfigError if there is none."""
    params = lib.llama_context_default_params()
    params.n_seq_max = num_rows
    params.n_ctx = num_rows * length
    params.n_batch = params.n_ubatch = max(MAX_PREFILL_CHUNK, num_rows)
    params.n_threads = params.n_threads_batch = wanted.num_threads
    params.type_k = params.type_v = GGML_TYPES[wanted.kv_type]
    params.flash_attn_type = (
        lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
        if wanted.kv_type == "f16"
        else lib.LLAMA_FLASH_ATTN_TYPE_ENABLED
    )
    params.kv_unified = False
    params.offload_kqv = params.op_offload = False
    forget_errors()
    context = lib.llama_init_from_model(file.pointer, params)
    if not context:
        raise ConfigError(
            f"model_name: llama.cpp cannot run this model with kv_type {wanted.kv_type} "
            f"({first_error()}); choose another engine for it",
            param="model_name",
        )
    return context


def _kv_bytes_per_token(file: GgufFile, wanted: Wanted) -> int:
    """Keys and values of one token in all layers: by how much a sequence grows with it.

    Asked of a small context, because layers may differ in ways that only llama.cpp knows. It also
    shows that the model runs at all, and brings its weights into memory.
    """
    context = _open_context(file, wanted, 1, PROBE_LENGTH)
    try:
        if not lib.llama_get_memory(context):
            raise _wrong_kind("an encoder")
        sizes = []
        for position in range(2):
            batch = Batch(1).fill(np.zeros(1, np.int64), np.array([position]), 0, all_logits=True)
            forget_errors()
            if lib.llama_decode(context, batch.struct) != 0:
                raise ConfigError(
                    f"model_name: llama.cpp cannot run this model ({first_error()}); choose "
                    "another engine for it",
                    param="model_name",
                )
            sizes.append(lib.llama_state_seq_get_size(context, 0))
    finally:
        lib.llama_free(context)
    return int(sizes[1] - sizes[0]) - CELL_BYTES

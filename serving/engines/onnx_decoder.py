"""`StepModel` over a converted graph, run by ONNX Runtime on the CPU.

The KV memory is one float32 array per layer and kind, [num_rows, kv_heads, length, head_dim], which
the graph reads as past and writes as present in place. Rows of different length decode in one call
without padding, and a row's answer never depends on its neighbours.

Chunks of a prompt give bit for bit what the whole prompt gives, as long as each has two tokens or
more: in ONNX Runtime a single position takes another kernel, whose sums round differently. So
callers never leave a last chunk of one token (a prompt of one token is fine).

A draft is verified by the kernels that decode, so its logits and what it leaves in the KV memory
are bit for bit those of decoding: our own kernels treat every position alike, and to ONNX Runtime's
each position of a draft is a row (`conversion.verify_graph`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.conversion.manifest import Manifest, read_manifest
from serving.engines.onnx_graphs import LoadedGraph, open_graph
from serving.kv_budget import model_len
from serving.kv_pages import KvPages, kv_pages
from serving.step_model import Logits, TokenIds

# The last one is an input of graphs that can do both, decode and verify.
INPUTS = ("input_ids", "seqlens_k", "total_sequence_length", "logit_positions", "one_row")
BYTES = 4  # of a float32

KvArray = npt.NDArray[np.float32]
Lengths = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class _KvMemory:
    """One layer's keys or values."""

    past: str  # the graph's names for it
    present: str
    pages: KvPages
    array: KvArray  # [num_rows, kv_heads, length, head_dim] over `pages`


@dataclass(frozen=True, slots=True)
class _Call:
    """What one call of the graph reads and writes; the graph sees these very arrays."""

    input_ids: TokenIds  # [B, T]
    seqlens_k: Lengths  # [B], position of each row's last token
    total_sequence_length: Lengths  # [], tokens of the longest row after the call
    logit_positions: TokenIds  # [K] among the B * T positions
    logits: Logits  # [K, vocab]
    one_row: npt.NDArray[np.bool_]  # [], whether the B positions are one row's next ones


PLAIN, VERIFYING = np.array(False), np.array(True)


class OnnxDecoder:
    """A converted model in a folder, as `python -m serving.conversion` writes it."""

    def __init__(
        self,
        folder: Path,
        num_rows: int,
        max_model_len: int | None,
        num_threads: int,
        *,
        own_kernels: bool = True,
    ) -> None:
        """Loads the weights; raises ConfigError for a folder or a setting that cannot work.

        own_kernels: whether our own operators multiply, where this machine can run them.
        """
        self._manifest = manifest = read_manifest(folder)
        self.num_rows: int = num_rows
        self.max_model_len: int = model_len(manifest.max_model_len, max_model_len)
        self.vocab_size: int = manifest.vocab_size
        self.verify_sizes: tuple[int, ...] = manifest.verify_sizes
        token_floats = manifest.num_kv_heads * manifest.head_dim
        self.kv_bytes_per_token: int = 2 * manifest.num_layers * token_floats * BYTES
        self._graph: LoadedGraph | None = open_graph(
            folder, manifest.files, num_threads, own_kernels=own_kernels
        )
        self.kernels: str = self._graph.kernels
        self._kv = _kv_memories(manifest, num_rows, self.max_model_len)
        self._logits = np.empty((num_rows, self.vocab_size), np.float32)
        self._steps: dict[int, tuple[_Call, Any]] = {}  # by batch size, bound once
        self._verifications: dict[int, tuple[_Call, Any]] = {}  # by their size, bound once

    def prefill(self, row: int, token_ids: TokenIds, start: int, *, all_logits: bool) -> Logits:
        """See StepModel; a chunk after `start` > 0 must have two tokens or more."""
        count = len(token_ids)
        assert start + count <= self.max_model_len, "the caller admitted more than a row holds"
        positions = np.arange(0 if all_logits else count - 1, count)
        call = _Call(
            input_ids=np.ascontiguousarray(token_ids, np.int64).reshape(1, count),
            seqlens_k=np.array([start + count - 1], np.int32),
            total_sequence_length=np.array(start + count, np.int32),
            logit_positions=positions,
            logits=np.empty((len(positions), self.vocab_size), np.float32),
            one_row=PLAIN,
        )
        self._loaded.session.run_with_iobinding(self._bind(call, row))
        return call.logits

    def decode(self, token_ids: TokenIds, lengths: TokenIds) -> Logits:
        """See StepModel."""
        batch = len(token_ids)
        if batch not in self._steps:
            self._steps[batch] = self._new_call(batch, 1, self._logits[:batch], PLAIN)
        call, binding = self._steps[batch]
        call.input_ids[:, 0] = token_ids
        call.seqlens_k[:] = lengths
        call.total_sequence_length[...] = total = call.seqlens_k.max() + 1
        assert total <= self.max_model_len, "the caller let a sequence outgrow its row"
        self._loaded.session.run_with_iobinding(binding)
        return call.logits

    def verify(self, token_ids: TokenIds, length: int) -> Logits:
        """See DraftVerifier."""
        count = len(token_ids)
        size = next(size for size in self.verify_sizes if size >= count)
        assert length + size <= self.max_model_len, "the caller drafted more than the row holds"
        if size not in self._verifications:
            logits = np.empty((size, self.vocab_size), np.float32)
            shape = (1, size) if self._loaded.chunks_are_exact else (size, 1)
            self._verifications[size] = self._new_call(*shape, logits, VERIFYING)
        call, binding = self._verifications[size]
        call.input_ids.reshape(-1)[:] = np.pad(token_ids, (0, size - count))
        call.seqlens_k[:] = np.arange(length, length + size)[-len(call.seqlens_k) :]
        call.total_sequence_length[...] = length + size
        self._loaded.session.run_with_iobinding(binding)
        return call.logits[:count]

    def move_row(self, source: int, target: int, length: int) -> None:
        for kv in self._kv:
            kv.array[target, :, :length] = kv.array[source, :, :length]

    def release_row(self, row: int) -> None:
        for kv in self._kv:
            kv.pages.release_row(row)

    def close(self) -> None:
        """Frees weights and KV memory; logits given out before stay valid."""
        self._steps.clear()
        self._verifications.clear()
        self._graph = None
        self._kv = ()  # the last view of a mapping frees it

    @property
    def _loaded(self) -> LoadedGraph:
        assert self._graph is not None, "closed"
        return self._graph

    def _new_call(
        self, batch: int, positions: int, logits: Logits, one_row: npt.NDArray[np.bool_]
    ) -> tuple[_Call, Any]:
        """A call whose every position's logits are wanted, in row 0 and on."""
        call = _Call(
            input_ids=np.zeros((batch, positions), np.int64),
            seqlens_k=np.zeros(batch, np.int32),
            total_sequence_length=np.zeros((), np.int32),
            logit_positions=np.arange(batch * positions),
            logits=logits,
            one_row=one_row,
        )
        return call, self._bind(call, 0)

    def _bind(self, call: _Call, first_row: int) -> Any:
        """Lets the graph work on the call's arrays and on the KV of the rows from `first_row` on.

        The binding holds addresses only: the call must outlive its use.
        """
        session = self._loaded.session
        binding = session.io_binding()
        wanted = {each.name for each in session.get_inputs()}
        for name in wanted.intersection(INPUTS):
            _bind_input(binding, name, getattr(call, name))
        num_rows = 1 if call.one_row else len(call.input_ids)
        for kv in self._kv:
            rows = kv.array[first_row : first_row + num_rows]
            _bind_input(binding, kv.past, rows)
            _bind_output(binding, kv.present, rows)
        _bind_output(binding, "logits", call.logits)
        return binding


def _bind_input(binding: Any, name: str, array: npt.NDArray[Any]) -> None:
    binding.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)


def _bind_output(binding: Any, name: str, array: npt.NDArray[Any]) -> None:
    binding.bind_output(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)


def _kv_memories(manifest: Manifest, num_rows: int, max_model_len: int) -> tuple[_KvMemory, ...]:
    return tuple(
        _kv_memory(f"{layer}.{kind}", manifest, num_rows, max_model_len)
        for layer in range(manifest.num_layers)
        for kind in ("key", "value")
    )


def _kv_memory(name: str, manifest: Manifest, num_rows: int, max_model_len: int) -> _KvMemory:
    pages = kv_pages(num_rows, manifest.num_kv_heads, max_model_len, manifest.head_dim, BYTES)
    array = np.frombuffer(pages.buffer, np.float32).reshape(pages.shape)
    return _KvMemory(f"past_key_values.{name}", f"present.{name}", pages, array)

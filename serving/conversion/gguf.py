"""A Hugging Face checkpoint becomes a GGUF file for the llama_cpp engine.

    checkpoint → GGUF as the checkpoint stores it → llama.cpp's quantisation → checked → in place

Needs the `llama-cpp` extra. torch is not needed; where it is there, the file's logits are compared
with the checkpoint's own.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from serving.conversion.check import (
    MAX_TOKENS,
    TEXT,
    Deviation,
    Logits,
    check,
    compare,
    read_model,
    read_reference,
)
from serving.conversion.gguf_architecture import Shape, read_architecture
from serving.conversion.gguf_tokenizer import check_tokenizer
from serving.conversion.gguf_writer import write_gguf
from serving.conversion.request import Converted, Request
from serving.conversion.source import Checkpoint, read_checkpoint
from serving.conversion.workplace import Progress, Workplace, check_room, identity, workplace
from serving.errors import ConfigError
from serving.gguf_source import GGUF_FOLDER
from serving.model_source import GGUF_SUFFIX
from serving.step_model import StepModel
from serving.tokenizer import CheckpointTokenizer

# What weights may be stored as, and llama.cpp's number for it (llama.h's llama_ftype).
DATA_TYPES = {
    "f16": 1,
    "bf16": 32,
    "q8_0": 7,
    "q6_k": 18,
    "q5_k_m": 17,
    "q5_k_s": 16,
    "q4_k_m": 15,
    "q4_k_s": 14,
    "q3_k_m": 12,
}
DEFAULT_DATA_TYPE = "q8_0"
MADE_WITH = ("llama-cpp-python", "gguf")
WHOLE, MADE = f"whole{GGUF_SUFFIX}", f"made{GGUF_SUFFIX}"  # within a workplace


@dataclass(frozen=True, slots=True)
class ConvertedGguf:
    """The file that was made, and what storing it so costs: how far its logits are from those of
    the same file with the weights as the checkpoint has them. None: made by another converter.
    """

    path: Path
    deviation: Deviation | None


def convert(request: Request, progress: Progress) -> Converted:
    """See Convert; the target is the folder of the model's files."""
    made = convert_gguf(request.model_dir, request.target, request.data_type, progress)
    return Converted(request.target, made.deviation)


def convert_gguf(
    model_dir: Path,
    output: Path | None = None,
    data_type: str = DEFAULT_DATA_TYPE,
    progress: Progress = lambda stage: None,
) -> ConvertedGguf:
    """Converts the checkpoint into the folder `output`, by default gguf/ in its own.

    The file is called after the checkpoint's folder and `data_type`, and appears when it is whole
    and checked; one of that name is replaced. Blocks: about a minute for a billion parameters, and
    twice the checkpoint's size of disk. Raises ConfigError for a checkpoint that cannot be
    converted, and for a file that does not read or answer as the checkpoint does.
    """
    if data_type not in DATA_TYPES:
        raise ConfigError(
            f"data_type: there is no '{data_type}'; choose one of {', '.join(DATA_TYPES)}",
            param="data_type",
        )
    checkpoint = read_checkpoint(model_dir.resolve())
    shape = read_architecture(checkpoint.config)
    folder = output or checkpoint.folder / GGUF_FOLDER
    target = folder / f"{checkpoint.folder.name}-{data_type}{GGUF_SUFFIX}"
    size = checkpoint.weight_bytes
    check_room(checkpoint, target, disk_bytes=2 * size, memory_bytes=size)
    made_of = identity(checkpoint.folder, data_type, MADE_WITH)
    with workplace(target, made_of, progress) as place:
        deviation = None if place is None else _make(checkpoint, shape, data_type, place)
    return ConvertedGguf(target, deviation)


def _make(checkpoint: Checkpoint, shape: Shape, data_type: str, place: Workplace) -> Deviation:
    whole = place.stage("as the checkpoint has it", partial(_write, checkpoint.folder, shape))
    source = whole / WHOLE
    small = place.stage(data_type, lambda folder: _quantize(source, folder / MADE, data_type))
    place.say("comparing the two")
    logits = [_logits(path, checkpoint.folder) for path in (small / MADE, source)]
    place.publish(small / MADE)
    return Deviation(*compare(*logits))


def _write(model_dir: Path, shape: Shape, folder: Path) -> None:
    whole = folder / WHOLE
    write_gguf(model_dir, shape, whole)
    check_tokenizer(model_dir, whole)
    _check_answers(model_dir, whole)


def _quantize(source: Path, target: Path, data_type: str) -> None:
    import llama_cpp as lib

    from serving.engines.llama_cpp_library import first_error, forget_errors

    params = lib.llama_model_quantize_default_params()
    params.ftype = DATA_TYPES[data_type]
    params.nthread = len(os.sched_getaffinity(0))
    forget_errors()
    if (
        lib.llama_model_quantize(os.fsencode(source), os.fsencode(target), ctypes.byref(params))
        != 0
    ):
        raise ConfigError(
            f"llama.cpp could not store this model as {data_type} ({first_error()}); choose "
            "another data_type"
        )


def _check_answers(model_dir: Path, whole: Path) -> None:
    """Compares it with the checkpoint itself, where torch is there to run that."""
    if importlib.util.find_spec("torch") is None:
        return
    with _opened(whole) as model:
        reference = read_reference(read_checkpoint(model_dir), model.max_model_len)
        check(reference, partial(read_model, model), "int8")


def _logits(path: Path, model_dir: Path) -> Logits:
    """Of every position of a text; also shows that the file runs."""
    with _opened(path) as model:
        tokenizer = CheckpointTokenizer(model_dir, model.vocab_size)
        token_ids = tokenizer.encode(TEXT)[: min(MAX_TOKENS, model.max_model_len)]
        return read_model(model, np.array(token_ids, np.int64))


@contextmanager
def _opened(path: Path) -> Iterator[StepModel]:
    from serving.engines.llama_cpp_decoder import LlamaCppDecoder, Wanted

    model = LlamaCppDecoder(
        path,
        Wanted(
            max_num_seqs=1,
            max_model_len=None,
            kv_cache_bytes=None,
            kv_type="f16",
            batch_invariant=True,
            num_threads=len(os.sched_getaffinity(0)),
        ),
    )
    try:
        yield model
    finally:
        model.close()

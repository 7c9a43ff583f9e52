"""Writes a checkpoint as a GGUF file, tensor by tensor, as the checkpoint stores them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.conversion.gguf_architecture import (
    HEAD,
    Shape,
    arranged,
    metadata,
    rope_factors,
    tensor_name,
)
from serving.conversion.gguf_tokenizer import tokenizer_values
from serving.errors import ConfigError

ROPE_FACTORS = "rope_freqs.weight"
# How safetensors and numpy name what checkpoints store; numpy has no bfloat16.
STORED = {"F32": np.float32, "F16": np.float16, "BF16": np.uint16}


def write_gguf(model_dir: Path, shape: Shape, target: Path) -> None:
    """Raises ConfigError for a checkpoint that is not whole, or holds what llama.cpp has not."""
    import gguf

    writer = gguf.GGUFWriter(target, shape.architecture.name)
    try:
        writer.add_name(model_dir.name)
        values = metadata(shape) | tokenizer_values(model_dir, shape.vocab_size)
        for key, value in values.items():
            _add(writer, key, value)
        tensors = _tensors(model_dir, shape)
        for name, tensor in tensors.items():
            _announce(writer, name, tensor)
        factors = rope_factors(shape)
        if factors is not None:
            writer.add_tensor_info(ROPE_FACTORS, factors.shape, factors.dtype, factors.nbytes)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for name, tensor in tensors.items():
            writer.write_tensor_data(_stored(arranged(name, _values(tensor), shape)))
        if factors is not None:
            writer.write_tensor_data(factors)
    finally:
        writer.close()


def _add(writer: Any, key: str, value: Any) -> None:
    add = {
        bool: writer.add_bool,
        int: writer.add_uint32,
        float: writer.add_float32,
        str: writer.add_string,
        list: writer.add_array,
    }
    add[type(value)](key, value)


def _announce(writer: Any, name: str, tensor: Any) -> None:
    """GGUF lists all tensors before the first one's data."""
    from gguf import GGMLQuantizationType as Kind

    kind = Kind.F32 if len(tensor.shape) == 1 else Kind[tensor.dtype]
    size = np.prod(tensor.shape) * (4 if kind == Kind.F32 else 2)
    writer.add_tensor_info(name, tensor.shape, np.dtype(np.float32), int(size), raw_dtype=kind)


def _tensors(model_dir: Path, shape: Shape) -> dict[str, Any]:
    """The checkpoint's tensors by GGUF's names; their data is read when it is asked for."""
    named: dict[str, Any] = {}
    for checkpoint_name, tensor in _stored_tensors(model_dir):
        name = tensor_name(checkpoint_name, shape)
        if name is None:
            continue
        if tensor.dtype not in STORED:
            raise ConfigError(
                f"the checkpoint stores {checkpoint_name} as {tensor.dtype}, and only "
                f"{', '.join(STORED)} are converted here"
            )
        named[name] = tensor
    if HEAD not in named and not shape.config.get("tie_word_embeddings", False):
        raise ConfigError(f"{model_dir} has no lm_head.weight; fetch all files of the checkpoint")
    return named


def _stored_tensors(model_dir: Path) -> Iterator[tuple[str, Any]]:
    from gguf.utility import SafetensorsLocal

    files = sorted(model_dir.glob("*.safetensors"))
    if not files:
        raise ConfigError(f"{model_dir} holds no *.safetensors; fetch the checkpoint's weights")
    for path in files:
        try:
            yield from SafetensorsLocal(path).tensors.items()
        except (ValueError, KeyError) as error:
            raise ConfigError(f"{path} is not whole ({error}); fetch it again") from error


def _values(tensor: Any) -> npt.NDArray[Any]:
    try:
        data: npt.NDArray[Any] = tensor.mmap_bytes()
    except ValueError as error:  # it ends behind the file
        path = tensor.data_range.filename
        raise ConfigError(f"{path} is not whole ({error}); fetch it again") from error
    return data.view(STORED[tensor.dtype]).reshape(tensor.shape)


def _stored(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """As the file holds it: what has one dimension (norms, biases) in 32 bits."""
    if values.ndim > 1:
        return np.ascontiguousarray(values)
    if values.dtype == np.uint16:  # bfloat16 is the upper half of a float32
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32)

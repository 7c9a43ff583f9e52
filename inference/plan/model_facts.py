"""What must be known of a model to place it: bytes, shape and parameters, without its weights.

`of_folder` reads config.json and the headers of the safetensors files, `of_known` the built-in
table; `hub` asks the Hugging Face Hub for the same headers.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from inference.plan.known_models import KNOWN_MODELS
from inference.plan.parameters import Parameters, count
from serving.errors import ConfigError
from serving.model_shape import DEFAULT_BYTES, ModelShape, read_config, shape_of

HEADER_LIMIT = 100 * 2**20  # safetensors' own limit of a header


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """One model as a plan sees it."""

    source: str
    shape: ModelShape  # with the bytes of 16-bit weights, or of quantised ones as they are
    parameters: Parameters
    hidden_size: int
    origin: str  # where this was read


def of_known(source: str) -> ModelFacts | None:
    """A well-known model's, from the built-in table; None: it is not in there."""
    config = KNOWN_MODELS.get(source)
    if config is None:
        return None
    width = 1 if "quantization_config" in config else DEFAULT_BYTES
    return of_config(source, config, count(config).total * width, "built-in table")


def of_folder(source: str, folder: Path) -> ModelFacts:
    """A local checkpoint's; raises ConfigError where it is no decoder's."""
    headers = [_read_header(path) for path in sorted(folder.glob("*.safetensors"))]
    if not headers:
        raise ConfigError(
            f"source: {folder} holds no *.safetensors, so the bytes of its weights are not known; "
            "give the folder of a Hugging Face checkpoint",
            param="source",
        )
    size = sum(tensor_bytes(header) for header in headers)
    return of_config(source, read_config(folder), size, "config.json and safetensors headers")


def of_config(source: str, config: Mapping[str, Any], file_bytes: int, origin: str) -> ModelFacts:
    """From a config.json and the bytes of all tensors; raises ConfigError for no plain decoder."""
    shape = shape_of(config, file_bytes)
    text = config.get("text_config", config)
    try:
        parameters = count(config)
    except (KeyError, TypeError):
        shape = None
    if shape is None:
        raise ConfigError(
            f"source: the config.json of {source} does not say layers, heads, sizes and vocabulary "
            "as decoders do; plans are made for text decoders only",
            param="source",
        )
    return ModelFacts(source, _latent(shape, text), parameters, int(text["hidden_size"]), origin)


def _latent(shape: ModelShape, text: Mapping[str, Any]) -> ModelShape:
    """A latent attention's cache: one latent and one rotary key, which every GPU keeps whole.

    Said as one KV head whose keys and values are half of that each.
    """
    rank = text.get("kv_lora_rank")
    if not rank:
        return shape
    return replace(shape, num_kv_heads=1, head_dim=(rank + text["qk_rope_head_dim"]) // 2)


def tensor_bytes(header: Mapping[str, Any]) -> int:
    """Of all tensors that a safetensors header tells of."""
    spans = [each["data_offsets"] for name, each in header.items() if name != "__metadata__"]
    return sum(end - start for start, end in spans)


def _read_header(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return read_header(file)
    except (OSError, ValueError, struct.error) as error:
        raise ConfigError(
            f"source: {path} is no safetensors file ({error}); copy it again", param="source"
        ) from error


def read_header(file: BinaryIO) -> dict[str, Any]:
    """The header at the start of a safetensors file; ValueError or struct.error where none is."""
    (length,) = struct.unpack("<Q", file.read(8))
    if length > HEADER_LIMIT:
        raise ValueError(f"a header of {length} bytes")
    header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    return header

"""What a conversion starts from: a checkpoint's folder, looked at before anything is loaded."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from serving.conversion.manifest import Manifest
from serving.errors import ConfigError
from serving.model_shape import read_config, read_shape

WEIGHTS = "*.safetensors"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")
HEADER_LENGTH_BYTES = 8


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A Hugging Face folder whose files are there and whole."""

    folder: Path
    config: Mapping[str, Any]
    num_parameters: int
    weight_bytes: int
    trust_remote_code: bool = False

    @property
    def model_type(self) -> str:
        return str(self.config.get("model_type", ""))


def read_checkpoint(folder: Path, *, trust_remote_code: bool = False) -> Checkpoint:
    """Raises ConfigError for a folder that lacks something, or whose weights are cut short."""
    config = read_config(folder)
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise ConfigError(
            f"model_name: {folder} has no tokenizer; copy tokenizer.json and "
            "tokenizer_config.json of the model into it",
            param="model_name",
        )
    files = sorted(folder.glob(WEIGHTS))
    _check_index(folder)
    if not files:
        raise ConfigError(
            f"model_name: {folder} has no weights (*.safetensors); download them, or save them "
            "with save_pretrained(safe_serialization=True)",
            param="model_name",
        )
    return Checkpoint(
        folder,
        config,
        num_parameters=sum(num_values(path) for path in files),
        weight_bytes=sum(path.stat().st_size for path in files),
        trust_remote_code=trust_remote_code,
    )


def describe(
    checkpoint: Checkpoint,
    made: Path,
    *,
    quantization: str,
    weight_bytes: int,
    made_with: Iterable[str],
) -> Manifest:
    """The manifest of what was made of a plain text decoder; ConfigError for another model."""
    shape = read_shape(checkpoint.folder)
    vocab_size, eos = checkpoint.config.get("vocab_size"), checkpoint.config.get("eos_token_id")
    if shape is None or not isinstance(vocab_size, int):
        raise ConfigError(
            f"{checkpoint.folder} is no plain text decoder, the only kind that is converted; "
            "choose another engine for this model"
        )
    return Manifest(
        model_type=checkpoint.model_type,
        num_layers=shape.num_layers,
        num_kv_heads=shape.num_kv_heads,
        head_dim=shape.head_dim,
        vocab_size=vocab_size,
        max_model_len=shape.max_model_len,
        eos_token_ids=tuple(eos if isinstance(eos, list) else [eos] if eos is not None else []),
        quantization=quantization,
        weight_bytes_per_step=weight_bytes,
        files={path.name: path.stat().st_size for path in sorted(made.iterdir())},
        made_with={name: version(name) for name in made_with},
    )


def num_values(path: Path) -> int:
    """Numbers in a safetensors file; raises ConfigError for one that is cut short."""
    tensors = safetensors_header(path)
    end = max((each["data_offsets"][1] for each in tensors.values()), default=0)
    if _data_start(path) + end != path.stat().st_size:
        raise _cut_short(path)
    return sum(math.prod(each["shape"]) for each in tensors.values())


def safetensors_header(path: Path) -> dict[str, Any]:
    """Tensors' names with dtype, shape and data_offsets; the file's format is its README's."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(HEADER_LENGTH_BYTES), "little")
        if not 0 < length <= path.stat().st_size - HEADER_LENGTH_BYTES:
            raise _cut_short(path)
        try:
            header: dict[str, Any] = json.loads(file.read(length))
        except ValueError as error:
            raise _cut_short(path) from error
    header.pop("__metadata__", None)
    return header


def _data_start(path: Path) -> int:
    with path.open("rb") as file:
        return HEADER_LENGTH_BYTES + int.from_bytes(file.read(HEADER_LENGTH_BYTES), "little")


def _check_index(folder: Path) -> None:
    """A checkpoint in several files names them all in its index."""
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return
    names = set(json.loads(index.read_text())["weight_map"].values())
    missing = sorted(name for name in names if not (folder / name).is_file())
    if missing:
        raise ConfigError(
            f"model_name: {folder} lacks {', '.join(missing)}, which its index names; download "
            "the checkpoint again",
            param="model_name",
        )


def _cut_short(path: Path) -> ConfigError:
    return ConfigError(
        f"model_name: {path} is cut short or no safetensors file; download it again",
        param="model_name",
    )

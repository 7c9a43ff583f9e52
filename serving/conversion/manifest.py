"""`anynode.json`: what the converter tells the engine about a graph, and how both check it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from serving.errors import ConfigError

MANIFEST_FILE = "anynode.json"
GRAPH_FILE = "model.onnx"
DATA_FILE = "model.onnx.data"  # the graph's weights
OWN_GRAPH_FILE = "own.onnx"  # a decoder over the same weights, with operators of our own
FORMAT_VERSION = 1
VERIFY_SIZES = (4, 8)  # tokens a draft is verified by; 8 cost a large model less than two steps


@dataclass(frozen=True, slots=True)
class Manifest:
    """One converted decoder."""

    model_type: str  # the checkpoint's, as in its config.json
    num_layers: int
    num_kv_heads: int
    head_dim: int
    vocab_size: int
    max_model_len: int  # tokens the model was made for
    eos_token_ids: tuple[int, ...]
    quantization: str  # how weights and activations are stored
    weight_bytes_per_step: int  # read by each decoding step, whatever the batch
    files: Mapping[str, int]  # name → size in bytes
    made_with: Mapping[str, str]  # distribution → version
    verify_sizes: tuple[int, ...] = ()  # tokens of one row that a call can verify; none if it can't
    format_version: int = FORMAT_VERSION


@dataclass(frozen=True, slots=True)
class EncoderManifest:
    """One converted encoder."""

    model_type: str  # the checkpoint's, as in its config.json
    hidden_size: int
    vocab_size: int
    pad_token_id: int  # what stands behind a text's end
    max_model_len: int  # tokens the model was made for
    data_type: str  # int8 or float32
    files: Mapping[str, int]  # name → size in bytes
    made_with: Mapping[str, str]  # distribution → version
    format_version: int = FORMAT_VERSION


ManifestT = TypeVar("ManifestT", Manifest, EncoderManifest)


def converted_folder(model_source: Path, engine: str, data_type: str = "auto") -> Path:
    """Where an engine's conversion of a checkpoint is; of several, the finest for `auto`."""
    finest, int4 = model_source / engine, model_source / f"{engine}-int4"
    if data_type == "int4" or (data_type == "auto" and int4.is_dir() and not finest.is_dir()):
        return int4
    return finest


def write_manifest(folder: Path, manifest: Manifest | EncoderManifest) -> None:
    text = json.dumps(asdict(manifest), indent=2) + "\n"
    (folder / MANIFEST_FILE).write_text(text, encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Raises ConfigError, with the way out, unless every file is there and whole."""
    manifest = _read(folder, Manifest)
    return replace(
        manifest,
        eos_token_ids=tuple(manifest.eos_token_ids),
        verify_sizes=tuple(manifest.verify_sizes),
    )


def read_encoder_manifest(folder: Path) -> EncoderManifest:
    """Raises ConfigError, with the way out, unless every file is there and whole."""
    return _read(folder, EncoderManifest)


def _read(folder: Path, kind: type[ManifestT]) -> ManifestT:
    values = _read_json(folder)
    if values.get("format_version") != FORMAT_VERSION:
        raise _unusable(
            folder,
            f"has format {values.get('format_version')}, this version reads {FORMAT_VERSION}",
        )
    required = {field.name for field in fields(kind) if field.default is MISSING}
    if not required <= set(values) <= {field.name for field in fields(kind)}:
        raise _unusable(folder, f"has a wrong {MANIFEST_FILE}")
    manifest = kind(**values)
    for name, size in manifest.files.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != size:
            raise _unusable(folder, f"has a {name} that is missing or cut short")
    return manifest


def _read_json(folder: Path) -> dict[str, Any]:
    try:
        values = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise _unusable(folder, f"has no {MANIFEST_FILE}") from error
    except (OSError, ValueError) as error:
        raise _unusable(folder, f"has an unreadable {MANIFEST_FILE} ({error})") from error
    return values if isinstance(values, dict) else {}


def _unusable(folder: Path, what: str) -> ConfigError:
    return ConfigError(
        f"model_name: {folder} {what}; run `{conversion_command(folder)}`", param="model_name"
    )


def conversion_command(folder: Path) -> str:
    """What an operator types to have a `converted_folder` made."""
    engine = folder.name.removesuffix("-int4")
    data_type = folder.name[len(engine) + 1 :]
    options = [] if engine == "onnx" else [f"--engine {engine}"]
    options += [f"--data-type {data_type}"] if data_type else []
    return " ".join(["anynode convert", str(folder.parent), *options])

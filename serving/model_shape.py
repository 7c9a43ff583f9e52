"""What a model's folder tells of the memory it will need, read without loading anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.errors import ConfigError

STORED_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
DEFAULT_BYTES = 2  # vLLM loads no wider type than 16 bits unless it is told to


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """Sizes of a decoder; bytes are those of 16-bit weights unless the checkpoint is quantised."""

    weight_bytes: int
    quantized: bool  # the checkpoint itself is
    num_layers: int
    num_attention_heads: int
    num_kv_heads: int
    head_dim: int
    max_model_len: int

    def kv_bytes_per_token(self, element_bytes: int = DEFAULT_BYTES) -> int:
        """Keys and values of one token in all layers."""
        return 2 * self.num_layers * self.num_kv_heads * self.head_dim * element_bytes


def read_config(folder: Path) -> dict[str, Any]:
    """The model's config.json; ConfigError where there is none or it is no JSON object."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"model_name: {folder} has no config.json; give the folder of a Hugging Face "
            "checkpoint (config.json and *.safetensors)",
            param="model_name",
        ) from error
    except ValueError as error:
        raise ConfigError(f"model_name: {path} is not JSON: {error}", param="model_name") from error
    if not isinstance(config, dict):
        raise ConfigError(f"model_name: {path} holds no JSON object", param="model_name")
    return config


def read_shape(folder: Path) -> ModelShape | None:
    """The shape; None for a model whose config says it in other words (not a plain decoder)."""
    files = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    return shape_of(read_config(folder), files)


def shape_of(config: Mapping[str, Any], file_bytes: int) -> ModelShape | None:
    """The same of a config.json and the bytes of the weights that belong to it."""
    text = config.get("text_config", config)
    try:
        heads = int(text["num_attention_heads"])
        return ModelShape(
            weight_bytes=_loaded_bytes(file_bytes, config),
            quantized="quantization_config" in config,
            num_layers=int(text["num_hidden_layers"]),
            num_attention_heads=heads,
            num_kv_heads=int(text.get("num_key_value_heads") or heads),
            head_dim=int(text.get("head_dim") or text["hidden_size"] // heads),
            max_model_len=int(text["max_position_embeddings"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _loaded_bytes(file_bytes: int, config: Mapping[str, Any]) -> int:
    if "quantization_config" in config:
        return file_bytes
    stored = config.get("dtype", config.get("torch_dtype"))
    return file_bytes * DEFAULT_BYTES // STORED_BYTES.get(str(stored), DEFAULT_BYTES)


def lora_rank(folder: Path) -> int:
    """The rank of the adapter in `folder`; ConfigError where there is no adapter."""
    try:
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        return int(config["r"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"lora_adapters: {folder} holds no adapter (adapter_config.json with its rank 'r')",
            param="lora_adapters",
        ) from error

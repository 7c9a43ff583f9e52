"""The whole way from a checkpoint's folder to the folder that the default engine loads."""

from __future__ import annotations

import json
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from serving.conversion.genai import BuiltModel, build_fp32
from serving.conversion.manifest import Manifest, write_manifest
from serving.errors import ConfigError

OUTPUT_NAME = "onnx"  # below the checkpoint's folder
CONVERTERS = ("onnxruntime-genai", "onnx", "transformers", "torch")


def convert(
    model_dir: Path, output: Path | None = None, *, trust_remote_code: bool = False
) -> Path:
    """Converts the checkpoint and returns the output folder, replaced only when all went well.

    Takes minutes for a model of a billion parameters, and four bytes of disk for each of them
    while it runs.
    """
    checkpoint = _read_config(model_dir)
    target = output or model_dir / OUTPUT_NAME
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".convert-", dir=target.parent) as name:
        work = Path(name)
        made = work / "made"
        made.mkdir()
        built = build_fp32(model_dir, work / "fp32", trust_remote_code=trust_remote_code)
        weight_bytes = _rewrite(built.graph, made)
        write_manifest(made, _manifest(checkpoint, built, made, weight_bytes))
        if target.exists():
            shutil.rmtree(target)
        made.rename(target)
    return target


def _read_config(model_dir: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads((model_dir / "config.json").read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{model_dir} has no readable config.json; give the folder of a Hugging Face checkpoint"
        ) from error
    return config


def _rewrite(source: Path, target: Path) -> int:
    """Rewrites the fp32 graph into `target`; returns the weight bytes that a step reads."""
    from serving.conversion.graph import Graph
    from serving.conversion.per_row_int8 import quantize_products
    from serving.conversion.step_graph import make_step_graph

    with Graph(source, target) as graph:
        make_step_graph(graph)
        weight_bytes = quantize_products(graph)
        graph.save()
    return weight_bytes


def _manifest(
    checkpoint: dict[str, Any], built: BuiltModel, made: Path, weight_bytes: int
) -> Manifest:
    from serving.conversion.per_row_int8 import QUANTIZATION

    return Manifest(
        model_type=str(checkpoint.get("model_type", "")),
        num_layers=built.num_layers,
        num_kv_heads=built.num_kv_heads,
        head_dim=built.head_dim,
        vocab_size=built.vocab_size,
        max_model_len=built.context_length,
        eos_token_ids=built.eos_token_ids,
        quantization=QUANTIZATION,
        weight_bytes_per_step=weight_bytes,
        files={path.name: path.stat().st_size for path in sorted(made.iterdir())},
        made_with={name: version(name) for name in CONVERTERS},
    )

"""The whole way from a checkpoint's folder to the folder that the default engine loads."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from serving.conversion.check import Deviation, check
from serving.conversion.genai import BuiltModel, build_fp32
from serving.conversion.graph import Graph
from serving.conversion.manifest import Manifest, write_manifest
from serving.conversion.per_row_int8 import QUANTIZATION, quantize_products
from serving.conversion.step_graph import has_window, make_step_graph
from serving.errors import ConfigError

OUTPUT_NAME = "onnx"  # below the checkpoint's folder
CONVERTERS = ("onnxruntime-genai", "onnx", "transformers", "torch")


@dataclass(frozen=True, slots=True)
class Converted:
    """The folder that was made, and how near it is to the checkpoint."""

    folder: Path
    deviation: Deviation


def convert(
    model_dir: Path, output: Path | None = None, *, trust_remote_code: bool = False
) -> Converted:
    """Converts the checkpoint; the output folder is replaced only when all went well.

    Takes minutes for a model of a billion parameters, and four bytes of disk and of memory for each
    of them while it runs. Raises ConfigError for a checkpoint that cannot be converted, and for one
    whose graph does not answer as it does.
    """
    checkpoint = _read_config(model_dir)
    target = output or model_dir / OUTPUT_NAME
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".convert-", dir=target.parent) as name:
        work = Path(name)
        made = work / "made"
        made.mkdir()
        built = build_fp32(model_dir, work / "fp32", trust_remote_code=trust_remote_code)
        rewritten = _rewrite(built.graph, made)
        write_manifest(made, _manifest(checkpoint, built, made, rewritten))
        deviation = check(model_dir, made, trust_remote_code=trust_remote_code)
        if target.exists():
            shutil.rmtree(target)
        made.rename(target)
    return Converted(target, deviation)


def _read_config(model_dir: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads((model_dir / "config.json").read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{model_dir} has no readable config.json; give the folder of a Hugging Face checkpoint"
        ) from error
    return config


@dataclass(frozen=True, slots=True)
class _Rewritten:
    weight_bytes: int  # read by each step
    windowed: bool  # whether some attention looks back a limited number of tokens only


def _rewrite(source: Path, target: Path) -> _Rewritten:
    """Rewrites the fp32 graph into `target`."""
    with Graph(source, target) as graph:
        make_step_graph(graph)
        weight_bytes = quantize_products(graph)
        graph.save()
        return _Rewritten(weight_bytes, has_window(graph))


def context_length(checkpoint: dict[str, Any], built: BuiltModel, windowed: bool) -> int:
    """Tokens for which the graph is the checkpoint's model.

    The builder leaves out the window of architectures whose every layer has one (Mistral): up to
    the window's length that makes no difference.
    """
    window = checkpoint.get("sliding_window")
    if windowed or not window or not checkpoint.get("use_sliding_window", True):
        return built.context_length
    return min(built.context_length, int(window))


def _manifest(
    checkpoint: dict[str, Any], built: BuiltModel, made: Path, rewritten: _Rewritten
) -> Manifest:
    return Manifest(
        model_type=str(checkpoint.get("model_type", "")),
        num_layers=built.num_layers,
        num_kv_heads=built.num_kv_heads,
        head_dim=built.head_dim,
        vocab_size=built.vocab_size,
        max_model_len=context_length(checkpoint, built, rewritten.windowed),
        eos_token_ids=built.eos_token_ids,
        quantization=QUANTIZATION,
        weight_bytes_per_step=rewritten.weight_bytes,
        files={path.name: path.stat().st_size for path in sorted(made.iterdir())},
        made_with={name: version(name) for name in CONVERTERS},
    )

"""Runs onnxruntime-genai's model builder: a Hugging Face checkpoint becomes an fp32 ONNX graph.

The builder knows the architectures; it wants torch and transformers, so it runs in the environment
of the `convert` extra and never where models are served.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.errors import ConfigError

NEEDED = ("onnxruntime_genai", "onnx", "onnx_ir", "onnxscript", "torch", "transformers")


@dataclass(frozen=True, slots=True)
class BuiltModel:
    """What the builder says about the graph it made."""

    graph: Path
    num_layers: int
    num_kv_heads: int
    head_dim: int
    vocab_size: int
    context_length: int
    eos_token_ids: tuple[int, ...]


def build_fp32(model_dir: Path, out: Path, *, trust_remote_code: bool = False) -> None:
    """Exports the checkpoint into `out`; needs four bytes of disk for each parameter."""
    command = [sys.executable, "-m", "onnxruntime_genai.models.builder"]
    command += ["-i", str(model_dir), "-o", str(out), "-p", "fp32", "-e", "cpu"]
    command += ["-c", str(out / "cache"), "--extra_options"]
    # Every layer keeps its whole KV memory, so that all have one shape.
    command += ["windowed_kv_cache=false", f"hf_remote={str(trust_remote_code).lower()}"]
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    run = subprocess.run(
        command, env=os.environ | offline, capture_output=True, text=True, check=False
    )
    if run.returncode != 0:
        last_words = (run.stderr or run.stdout).strip().rpartition("\n")[2]
        raise ConfigError(
            f"{model_dir} could not be turned into an ONNX graph ({last_words}); the default "
            "engine serves the text decoders that onnxruntime-genai's builder knows, so choose "
            "another engine for this model"
        )


def check_environment() -> None:
    """Raises ConfigError where converting cannot work."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"converting needs {', '.join(missing)}, not installed here; run `anynode convert "
            "MODEL_DIR`, which makes an environment for it"
        )


def describe(out: Path) -> BuiltModel:
    """The graph that `build_fp32` made."""
    described: dict[str, Any] = json.loads((out / "genai_config.json").read_text())["model"]
    decoder = described["decoder"]
    eos = described["eos_token_id"]
    return BuiltModel(
        graph=out / decoder["filename"],
        num_layers=decoder["num_hidden_layers"],
        num_kv_heads=decoder["num_key_value_heads"],
        head_dim=decoder["head_size"],
        vocab_size=described["vocab_size"],
        context_length=described["context_length"],
        eos_token_ids=tuple(eos if isinstance(eos, list) else [eos]),
    )

"""Checkpoints of random weights for benchmarks, made once and kept below `.cache/bench`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from serving.conversion.manifest import converted_folder

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "bench"


def random_checkpoint(shape: str) -> Path:
    """A Llama of this shape (see scripts/make_random_checkpoint.py)."""
    folder = CACHE / shape
    if not (folder / "config.json").is_file():
        _python(str(ROOT / "scripts" / "make_random_checkpoint.py"), shape, str(folder))
    return folder


def random_model(shape: str, data_type: str = "int8") -> Path:
    """The same with an ONNX graph beside its weights."""
    folder = random_checkpoint(shape)
    if not converted_folder(folder, "onnx", data_type).is_dir():
        command = ("-m", "inference.cli.main", "convert", str(folder))
        _python(*command, "--data-type", data_type)
    return folder


def _python(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, cwd=ROOT)

"""What arms load, made of a random checkpoint on the spot and kept beside it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.models import ROOT
from inference.cli.convert import environment
from serving.conversion.converters import CONVERTERS
from serving.conversion.manifest import converted_folder
from serving.conversion.transformers4 import config_for_4, tokenizer_config_for_4

OLD_WORDS = {"config.json": config_for_4, "tokenizer_config.json": tokenizer_config_for_4}


@dataclass(frozen=True, slots=True)
class Weights:
    """A folder made of a checkpoint's; it appears whole."""

    place: Callable[[Path], Path]  # where, for a checkpoint's folder
    make: Callable[[Path, Path], None]  # of the checkpoint, there


def ready(model: Path, name: str | None) -> Path:
    """The folder of WEIGHTS[name] for this checkpoint, made if it is not there.

    Raises subprocess.CalledProcessError for a conversion that failed.
    """
    if name is None:
        return model
    weights = WEIGHTS[name]
    place = weights.place(model)
    if not place.is_dir():
        weights.make(model, place)
    return place


def _converted(engine: str, data_type: str) -> Weights:
    """By `anynode convert`."""

    def make(model: Path, _: Path) -> None:
        arguments = ["convert", str(model), "--engine", engine, "--data-type", data_type]
        _run([sys.executable, "-m", "inference.cli.main", *arguments])

    return Weights(lambda model: converted_folder(model, engine, data_type), make)


def _built(data_type: str) -> Weights:
    """By onnxruntime-genai's own builder, as it is."""

    def make(model: Path, place: Path) -> None:
        unfinished = place.with_name(f"{place.name}.unfinished")
        python = environment(CONVERTERS["onnx"])
        command = [str(python), "-m", "onnxruntime_genai.models.builder", "-i", str(model)]
        command += ["-o", str(unfinished), "-p", data_type, "-e", "cpu"]
        _run([*command, "-c", str(unfinished / "cache")], HF_HUB_OFFLINE="1")
        unfinished.rename(place)

    return Weights(lambda model: model.with_name(f"{model.name}-genai-{data_type}"), make)


def _in_old_words(model: Path, place: Path) -> None:
    """The checkpoint as transformers 4 would have saved it; its weights are the same file."""
    unfinished = place.with_name(f"{place.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    for path in filter(Path.is_file, model.iterdir()):
        if (translate := OLD_WORDS.get(path.name)) is not None:
            said = translate(json.loads(path.read_text()))
            (unfinished / path.name).write_text(json.dumps(said, indent=2))
        else:
            os.link(path, unfinished / path.name)
    unfinished.rename(place)


def _run(command: list[str], **variables: str) -> None:
    """Its words go where ours about the progress go: standard output is for the table."""
    subprocess.run(
        command, check=True, cwd=ROOT, stdout=sys.stderr, env={**os.environ, **variables}
    )


WEIGHTS = {
    "checkpoint": Weights(lambda model: model, lambda *_: None),
    "transformers4": Weights(
        lambda model: model.with_name(f"{model.name}-transformers4"), _in_old_words
    ),
    "onnx-int8": _converted("onnx", "int8"),
    "onnx-int4": _converted("onnx", "int4"),
    "openvino-int8": _converted("openvino", "int8"),
    "openvino-int4": _converted("openvino", "int4"),
    "vllm-int8": _converted("vllm", "int8"),
    "optimum-int8": _converted("optimum", "int8"),
    "gguf-q8_0": _converted("gguf", "q8_0"),
    "genai-int8": _built("int8"),
    "genai-int4": _built("int4"),
}

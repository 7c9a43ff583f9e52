"""From a checkpoint's folder to the one that the openvino engine loads, by Optimum's exporter."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from serving.conversion.check import Deviation, Logits, TokenIds, check, read_reference
from serving.conversion.manifest import write_manifest
from serving.conversion.request import Converted, Request
from serving.conversion.source import Checkpoint, describe, read_checkpoint
from serving.conversion.workplace import Progress, Workplace, check_room, identity, workplace
from serving.errors import ConfigError

MADE_WITH = ("openvino", "optimum-intel", "nncf", "transformers", "torch")
MODEL_FILES = ("openvino_model.xml", "openvino_model.bin", "config.json", "generation_config.json")
FLOAT_BYTES = 4
# Four bits in groups that share a scale; the embedding and the head keep eight.
WEIGHT_OPTIONS = {
    "int8": ("--weight-format", "int8"),
    "int4": ("--weight-format", "int4", "--group-size", "64", "--ratio", "1.0"),
}


def convert(request: Request, progress: Progress) -> Converted:
    """See Convert. Takes minutes for a model of a billion parameters."""
    checkpoint = read_checkpoint(request.model_dir, trust_remote_code=request.trust_remote_code)
    floats = FLOAT_BYTES * checkpoint.num_parameters
    check_room(checkpoint, request.target, disk_bytes=floats, memory_bytes=2 * floats)
    made_of = identity(checkpoint.folder, request.data_type, MADE_WITH)
    with workplace(request.target, made_of, progress) as place:
        deviation = None if place is None else _make(checkpoint, request.data_type, place)
    return Converted(request.target, deviation)


def _make(checkpoint: Checkpoint, data_type: str, place: Workplace) -> Deviation:
    exported = place.stage("exporting", partial(_export, checkpoint, data_type))
    made = place.stage(data_type, partial(_pick, checkpoint, data_type, exported))
    place.say("comparing with the checkpoint")
    reference = read_reference(checkpoint)
    deviation = check(reference, _Reader(made), data_type)
    place.publish(made)
    return deviation


def _export(checkpoint: Checkpoint, data_type: str, out: Path) -> None:
    command = [str(Path(sys.executable).parent / "optimum-cli"), "export", "openvino"]
    command += ["--model", str(checkpoint.folder), "--task", "text-generation-with-past"]
    command += ["--disable-convert-tokenizer", *WEIGHT_OPTIONS[data_type], str(out)]
    if checkpoint.trust_remote_code:
        command.insert(3, "--trust-remote-code")
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    done = subprocess.run(
        command, env=os.environ | offline, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        last_words = done.stderr.strip().rpartition("\n")[2]
        raise ConfigError(
            f"{checkpoint.folder} could not be exported to OpenVINO ({last_words}); choose another "
            "engine for this model"
        )


def _pick(checkpoint: Checkpoint, data_type: str, exported: Path, made: Path) -> None:
    """What serving reads, and the manifest that says when something of it is missing."""
    for name in MODEL_FILES:
        if (exported / name).is_file():
            shutil.copy(exported / name, made / name)
    write_manifest(
        made,
        describe(
            checkpoint,
            made,
            quantization=data_type,
            weight_bytes=(made / "openvino_model.bin").stat().st_size,
            made_with=MADE_WITH,
        ),
    )


class _Reader:
    """The converted model read by the plain runtime, without the pipeline that serves it."""

    def __init__(self, folder: Path) -> None:
        import openvino

        model = openvino.Core().compile_model(folder / "openvino_model.xml", "CPU")
        self._request: Any = model.create_infer_request()

    def __call__(self, token_ids: TokenIds) -> Logits:
        self._request.reset_state()
        found = self._request.infer(
            {
                "input_ids": token_ids[None],
                "attention_mask": np.ones((1, len(token_ids)), np.int64),
                "position_ids": np.arange(len(token_ids))[None],
                "beam_idx": np.zeros(1, np.int32),
            }
        )
        logits: Logits = found["logits"][0].copy()
        return logits

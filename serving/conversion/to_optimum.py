"""From a checkpoint's folder to the one that the optimum engine loads, by Optimum itself.

    checkpoint → words of transformers 4 → ONNX graph (fp32) → dynamic int8 → MODEL_DIR/optimum/

Needs the environment of that engine, and eight bytes of memory for each parameter while it runs.
The result holds the graph, the config and the tokenizer.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

from serving.conversion.check import Deviation, check, read_reference
from serving.conversion.checkpoint4 import checkpoint_for_4, side_files
from serving.conversion.request import Converted, Request
from serving.conversion.source import Checkpoint, read_checkpoint
from serving.conversion.workplace import Progress, Workplace, check_room, identity, workplace
from serving.engines.optimum_decoder import GRAPH_FILE, OptimumDecoder
from serving.errors import ConfigError

MADE_WITH = ("optimum", "optimum-onnx", "onnxruntime", "transformers", "torch")
FLOAT_BYTES = 4
READABLE = 0o644  # Optimum leaves weights readable to whoever converted them only


def convert(request: Request, progress: Progress) -> Converted:
    """See Convert. Takes eight bytes of memory for each parameter."""
    checkpoint = read_checkpoint(request.model_dir, trust_remote_code=request.trust_remote_code)
    floats = FLOAT_BYTES * checkpoint.num_parameters
    check_room(checkpoint, request.target, disk_bytes=2 * floats, memory_bytes=2 * floats)
    made_of = identity(checkpoint.folder, request.data_type, MADE_WITH)
    with workplace(request.target, made_of, progress) as place:
        deviation = None if place is None else _make(checkpoint, place)
    return Converted(request.target, deviation)


def _make(checkpoint: Checkpoint, place: Workplace) -> Deviation:
    old = place.stage("words of transformers 4", partial(checkpoint_for_4, checkpoint.folder))
    checkpoint = replace(checkpoint, folder=old)
    graph = place.stage("fp32 graph", partial(_export, checkpoint))
    made = place.stage("int8", partial(_fill, checkpoint, graph))
    place.say("comparing with the checkpoint")
    decoder = OptimumDecoder(
        made, max_model_len=None, num_threads=2, trust_remote_code=checkpoint.trust_remote_code
    )
    read = partial(decoder.prefill, 0, start=0, all_logits=True)
    deviation = check(read_reference(checkpoint), read, "int8")
    place.publish(made)
    return deviation


def _export(checkpoint: Checkpoint, target: Path) -> None:
    from optimum.onnxruntime import ORTModelForCausalLM

    try:
        model = ORTModelForCausalLM.from_pretrained(
            checkpoint.folder,
            export=True,
            trust_remote_code=checkpoint.trust_remote_code,
            local_files_only=True,
        )
    except Exception as error:  # whatever Optimum raises for what it does not know
        reason = str(error).strip().partition("\n")[0]
        raise ConfigError(
            f"{checkpoint.folder.parent.parent} could not be converted by Optimum ({reason}); "
            "choose another engine for this model"
        ) from error
    model.save_pretrained(target)


def _fill(checkpoint: Checkpoint, graph: Path, made: Path) -> None:
    _quantise(graph, made)
    for path in side_files(checkpoint.folder):
        shutil.copy(path, made)


def _quantise(graph: Path, target: Path) -> None:
    """Weights in int8, a scale for each column; activations with one scale for all of a product."""
    from optimum.onnxruntime import ORTQuantizer
    from optimum.onnxruntime.configuration import AutoQuantizationConfig

    quantizer = ORTQuantizer.from_pretrained(graph, file_name=GRAPH_FILE)
    quantizer.quantize(
        AutoQuantizationConfig.avx512_vnni(is_static=False, per_channel=True),
        save_dir=target,
        file_suffix=None,
        use_external_data_format=True,
    )
    for path in target.iterdir():
        path.chmod(READABLE)

"""From a checkpoint's folder to the one that the optimum engine loads, by Optimum itself.

    checkpoint → words of transformers 4 → ONNX graph (fp32) → dynamic int8 → MODEL_DIR/optimum/

Needs the environment of that engine, and eight bytes of memory for each parameter while it runs.
The result holds the graph, the config and the tokenizer.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from serving.conversion.check import Deviation, check, read_reference
from serving.conversion.request import Converted, Request
from serving.conversion.source import Checkpoint, read_checkpoint
from serving.conversion.transformers4 import config_for_4, tokenizer_config_for_4
from serving.conversion.workplace import Progress, Workplace, check_room, identity, workplace
from serving.engines.optimum_decoder import GRAPH_FILE, OptimumDecoder
from serving.errors import ConfigError

MADE_WITH = ("optimum", "optimum-onnx", "onnxruntime", "transformers", "torch")
FLOAT_BYTES = 4
READABLE = 0o644  # Optimum leaves weights readable to whoever converted them only
REWRITTEN: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "config.json": config_for_4,
    "tokenizer_config.json": tokenizer_config_for_4,
}
SIDE_FILES = (  # beside the graph, for the tokenizer and for where texts end
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab*",
    "merges.txt",
    "chat_template*",
)


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


def checkpoint_for_4(model_dir: Path, target: Path) -> None:
    """A folder like the checkpoint's, in the words of transformers 4; weights are linked."""
    for path in model_dir.iterdir():
        if path.name in REWRITTEN:
            rewritten = REWRITTEN[path.name](json.loads(path.read_text(encoding="utf-8")))
            (target / path.name).write_text(json.dumps(rewritten, indent=2), encoding="utf-8")
        elif path.is_file():
            (target / path.name).symlink_to(path.resolve())


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
    for pattern in SIDE_FILES:
        for path in checkpoint.folder.glob(pattern):
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

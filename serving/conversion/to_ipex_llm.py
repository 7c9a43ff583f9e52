"""From a checkpoint's folder to the one that the ipex_llm engine loads, by IPEX-LLM itself.

    checkpoint → words of transformers 4.37 → low-bit weights → MODEL_DIR/ipex-llm[-int4]/

Needs the environment of that engine. The result holds the weights, the config, the tokenizer and
what it was made of.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from serving.conversion.check import Deviation, Logits, TokenIds, check, read_reference
from serving.conversion.checkpoint4 import checkpoint_for_4_37, side_files
from serving.conversion.manifest import conversion_command, converted_folder
from serving.conversion.provenance import is_made_of, write_provenance
from serving.conversion.request import Converted, Request
from serving.conversion.source import Checkpoint, read_checkpoint
from serving.conversion.workplace import Progress, Workplace, check_room, identity, workplace
from serving.engines import ipex_llm_model
from serving.engines.ipex_llm_model import LowBitModel
from serving.engines.transformers_model import first_line
from serving.errors import ConfigError
from serving.memory import return_freed

logger = logging.getLogger(__name__)

NAME = "ipex-llm"
MADE_WITH = ("ipex-llm", "transformers")
FLOAT_BYTES = 4
BYTES_ON_DISK = 2  # for each parameter: fewer in products, four in embeddings


def convert(request: Request, progress: Progress) -> Converted:
    """See Convert. Takes six bytes of memory for each parameter that is stored in 16 bits."""
    return _convert(request, progress, unless=lambda: False)


def ensure_converted(model_dir: Path, data_type: str, *, trust_remote_code: bool) -> Path:
    """The folder made of this very checkpoint; made now if there is none.

    Raises ConfigError where it can neither be found nor made.
    """
    target = converted_folder(model_dir, NAME, data_type)
    if data_type == "auto":
        data_type = "int4" if target == converted_folder(model_dir, NAME, "int4") else "int8"
    request = Request(model_dir, target, data_type, trust_remote_code)
    is_there = partial(is_made_of, target, model_dir, data_type, MADE_WITH)
    for _ in range(2):  # again where another converter was waited for, and made something else
        if not is_there():
            _convert_first(request, is_there)
    return target


def _convert_first(request: Request, is_there: Callable[[], bool]) -> None:
    def say(stage: str) -> None:
        logger.info("converting %s for IPEX-LLM: %s", request.model_dir, stage)

    try:
        converted = _convert(request, say, unless=is_there)
    except OSError as error:
        raise ConfigError(
            f"model_name: {request.model_dir} holds nothing converted for IPEX-LLM and cannot be "
            f"written to ({error}); run `{conversion_command(request.target)}` where it can",
            param="model_name",
        ) from error
    if converted.deviation is not None:
        logger.info("%s was made: %s", converted.folder, converted.deviation)
    return_freed()


def _convert(request: Request, progress: Progress, unless: Callable[[], bool]) -> Converted:
    """Converts, unless there is no need to once nobody else does."""
    checkpoint = read_checkpoint(request.model_dir, trust_remote_code=request.trust_remote_code)
    _check_unquantised(checkpoint)
    floats = FLOAT_BYTES * checkpoint.num_parameters
    check_room(
        checkpoint,
        request.target,
        disk_bytes=BYTES_ON_DISK * checkpoint.num_parameters,
        memory_bytes=floats + checkpoint.weight_bytes,
    )
    made_of = identity(checkpoint.folder, request.data_type, MADE_WITH)
    with workplace(request.target, made_of, progress) as place:
        if place is None:
            return Converted(request.target, None)
        if unless():
            place.abandon()
            return Converted(request.target, None)
        return Converted(request.target, _make(checkpoint, request.data_type, place))


def _make(checkpoint: Checkpoint, data_type: str, place: Workplace) -> Deviation:
    source = checkpoint.folder
    old = place.stage("words of transformers 4.37", partial(checkpoint_for_4_37, source))
    checkpoint = replace(checkpoint, folder=old)
    made = place.stage(data_type, partial(_fill, checkpoint, source, data_type))
    place.say("comparing with the checkpoint")
    model = ipex_llm_model.load(
        made,
        trust_remote_code=checkpoint.trust_remote_code,
        num_threads=torch.get_num_threads(),
    )
    deviation = check(read_reference(checkpoint), partial(_read, model), data_type)
    place.publish(made)
    return deviation


def _read(model: LowBitModel, token_ids: TokenIds) -> Logits:
    try:
        logits: Logits = model.read(torch.from_numpy(token_ids)).numpy()
    except Exception as error:  # whatever a model raises that the library does not really know
        raise ConfigError(
            f"the converted model does not run ({first_line(error)}); choose another engine for "
            "this model"
        ) from error
    return logits


def _fill(checkpoint: Checkpoint, source: Path, data_type: str, made: Path) -> None:
    for path in [*side_files(checkpoint.folder), *checkpoint.folder.glob("*.py")]:
        shutil.copy(path, made)
    try:
        model = ipex_llm_model.quantise(
            checkpoint.folder, data_type, trust_remote_code=checkpoint.trust_remote_code
        )
    except Exception as error:  # whatever the library raises for what it does not know
        raise ConfigError(
            f"{source} could not be converted by IPEX-LLM ({first_line(error)}); choose another "
            "engine for this model"
        ) from error
    ipex_llm_model.save(model, made)
    write_provenance(made, source, data_type, MADE_WITH)


def _check_unquantised(checkpoint: Checkpoint) -> None:
    if "quantization_config" in checkpoint.config:
        raise ConfigError(
            f"model_name: the weights in {checkpoint.folder} are quantised already; give the "
            "checkpoint that they were made of",
            param="model_name",
        )

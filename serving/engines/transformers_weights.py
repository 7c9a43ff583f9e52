"""Loads a causal language model from a checkpoint's folder, or says in one sentence why not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM
from transformers.utils import logging as transformers_logging

from serving.engines.transformers_linear import make_steady, quantise
from serving.engines.transformers_model import CausalModel, first_line
from serving.errors import ConfigError
from serving.memory import check_memory
from serving.model_shape import read_config

FLOATS = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
FLOAT_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}  # by safetensors' names
FEW_BITS = ("int8", "int4")
MAX_NAMED = 3  # weights that an error names


def load_model(folder: Path, data_type: str, *, trust_remote_code: bool) -> CausalModel:
    """The model in a data type of FLOATS or FEW_BITS, or for "auto" as it is stored; blocks.

    Raises ConfigError for a folder that holds no causal language model that runs here.
    """
    config = read_config(folder)
    if data_type in FEW_BITS and "quantization_config" in config:
        raise ConfigError(
            f"data_type: the weights in {folder} are quantised already; set data_type: auto",
            param="data_type",
        )
    check_memory(folder, weight_bytes(folder, FLOATS.get(data_type)))
    transformers_logging.disable_progress_bar()
    try:
        model, info = AutoModelForCausalLM.from_pretrained(
            str(folder),
            dtype=FLOATS.get(data_type, "auto"),
            local_files_only=True,
            trust_remote_code=trust_remote_code,
            # Pickled weights can run code when they are opened.
            use_safetensors=None if trust_remote_code else True,
            ignore_mismatched_sizes=True,  # so that they are told apart from other faults
            output_loading_info=True,
        )
    except Exception as error:  # a folder's faults surface as almost any type
        raise ConfigError(
            f"model_name: {folder} {_fault(folder, config, error)}", param="model_name"
        ) from error
    _check_complete(folder, type(model).__name__, info)
    model.eval()
    if data_type in FEW_BITS:
        quantise(model, data_type)
    else:
        make_steady(model)
    return CausalModel(model)


def weight_bytes(folder: Path, data_type: Any) -> int:
    """What the weights in a folder take once they are loaded; data_type None: as they are stored.

    0 where they are not safetensors, or broken: loading them will tell.
    """
    wanted = None if data_type is None else torch.empty((), dtype=data_type).element_size()
    total = 0
    for kind, shape, stored in _tensors(folder):
        total += prod(shape) * wanted if wanted and kind in FLOAT_BYTES else stored
    return total


def _tensors(folder: Path) -> Iterator[tuple[str, list[int], int]]:
    """Type, shape and bytes of every tensor, from the headers of the files."""
    for path in folder.glob("*.safetensors"):
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if size > path.stat().st_size:
                continue
            try:
                header: dict[str, Any] = json.loads(file.read(size))
            except ValueError:
                continue
        for name, tensor in header.items():
            if name != "__metadata__":
                start, end = tensor["data_offsets"]
                yield tensor["dtype"], tensor["shape"], end - start


def _check_complete(folder: Path, name: str, info: Mapping[str, Any]) -> None:
    faults = {
        "lacks weights": sorted(info["missing_keys"]),
        "has weights of sizes other than those": sorted(key[0] for key in info["mismatched_keys"]),
    }
    for fault, names in faults.items():
        if names:
            more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
            raise ConfigError(
                f"model_name: {folder} {fault} of the {name} that its config.json describes "
                f"({', '.join(names[:MAX_NAMED])}{more}); give the whole folder of a causal "
                "language model",
                param="model_name",
            )


def _fault(folder: Path, config: Mapping[str, Any], error: Exception) -> str:
    """What is wrong with the folder, and the fix."""
    reason, kind = first_line(error), config.get("model_type")
    cut = type(error).__name__ == "SafetensorError"
    pickled = "no file named" in reason and any(folder.glob("*.bin"))
    faults = (
        (cut, f"has weights that are cut short or not safetensors ({reason}); copy them anew"),
        (
            "trust_remote_code" in str(error),
            "brings code of its own; set trust_remote_code: true if you trust whoever wrote it",
        ),
        (
            "does not recognize this architecture" in reason,
            f"holds a '{kind}', which this version of transformers does not know; choose another "
            "model or another engine",
        ),
        (
            "Unrecognized configuration class" in reason,
            f"holds a '{kind}', which is no causal language model; choose one that writes text",
        ),
        (
            pickled,
            "has pickled weights only, which may run code when they are opened; save them as "
            "safetensors, or set trust_remote_code: true if you trust whoever made them",
        ),
        (
            isinstance(error, ImportError),
            f"needs a library that is not installed here ({reason}); choose another model",
        ),
    )
    unknown = f"cannot be loaded ({reason}); check its files, or copy them anew"
    return next((fault for applies, fault in faults if applies), unknown)

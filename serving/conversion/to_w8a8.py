"""A checkpoint with 8-bit weights and activations, which vLLM runs on CPUs.

vLLM quantises nothing to int8 by itself: it wants the weights so. Every linear layer but the head
gets one scale per output row, and its activations one per token, found while it runs; so no token
feels what its neighbours hold. The format is compressed-tensors' `int-quantized`, and the result a
Hugging Face folder with its tokenizer, which vLLM loads like any other.
"""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from serving.conversion.check import Deviation, Logits, TokenIds, check, read_reference
from serving.conversion.manifest import write_manifest
from serving.conversion.request import Converted, Request
from serving.conversion.source import (
    WEIGHTS,
    Checkpoint,
    describe,
    read_checkpoint,
    safetensors_header,
)
from serving.conversion.workplace import Progress, Workplace, check_room, identity, workplace
from serving.errors import ConfigError

MADE_WITH = ("transformers", "torch", "safetensors")
INT8_MAX = 127
HEAD = "lm_head"
FLOAT_BYTES = 4
QUANTIZATION_CONFIG = {
    "quant_method": "compressed-tensors",
    "format": "int-quantized",
    "quantization_status": "compressed",
    "ignore": [HEAD],
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": {
                "num_bits": 8,
                "type": "int",
                "symmetric": True,
                "strategy": "channel",
                "dynamic": False,
            },
            "input_activations": {
                "num_bits": 8,
                "type": "int",
                "symmetric": True,
                "strategy": "token",
                "dynamic": True,
            },
        }
    },
}


def convert(request: Request, progress: Progress) -> Converted:
    """See Convert. Seconds for a model of a billion parameters, but for the check."""
    checkpoint = read_checkpoint(request.model_dir, trust_remote_code=request.trust_remote_code)
    if "quantization_config" in checkpoint.config:
        raise ConfigError(
            f"{checkpoint.folder} is quantised already; give the checkpoint it was made from, or "
            "serve it as it is"
        )
    floats = FLOAT_BYTES * checkpoint.num_parameters
    check_room(
        checkpoint, request.target, disk_bytes=checkpoint.weight_bytes, memory_bytes=2 * floats
    )
    made_of = identity(checkpoint.folder, request.data_type, MADE_WITH)
    with workplace(request.target, made_of, progress) as place:
        deviation = None if place is None else _make(checkpoint, place)
    return Converted(request.target, deviation)


def _make(checkpoint: Checkpoint, place: Workplace) -> Deviation:
    made = place.stage("int8", partial(_quantize, checkpoint))
    place.say("comparing with the checkpoint")
    reference = read_reference(checkpoint)
    deviation = check(reference, _Reader(checkpoint), "int8")
    place.publish(made)
    return deviation


def _quantize(checkpoint: Checkpoint, made: Path) -> None:
    linear = linear_weights(checkpoint)
    for path in sorted(checkpoint.folder.iterdir()):
        if path.is_file() and path.match(WEIGHTS):
            _quantize_file(path, made / path.name, linear)
        elif path.is_file() and path.suffix != ".lock":
            shutil.copy(path, made)
    _extend_index(made)
    config = {**checkpoint.config, "quantization_config": QUANTIZATION_CONFIG}
    (made / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    write_manifest(
        made,
        describe(
            checkpoint,
            made,
            quantization="int8, one scale per weight row and per token",
            weight_bytes=sum(path.stat().st_size for path in made.glob(WEIGHTS)),
            made_with=MADE_WITH,
        ),
    )


def linear_weights(checkpoint: Checkpoint) -> frozenset[str]:
    """Names of the weights of all linear layers but the head, by the model's own modules."""
    from transformers import AutoConfig, AutoModelForCausalLM

    torch: Any = importlib.import_module("torch")
    options = {"trust_remote_code": checkpoint.trust_remote_code}
    config = AutoConfig.from_pretrained(str(checkpoint.folder), local_files_only=True, **options)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, **options)
    return frozenset(
        f"{name}.weight"
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and name != HEAD
    )


def _quantize_file(source: Path, target: Path, linear: frozenset[str]) -> None:
    safetensors: Any = importlib.import_module("safetensors")
    save_file: Any = importlib.import_module("safetensors.torch").save_file
    tensors: dict[str, Any] = {}
    with safetensors.safe_open(source, framework="pt") as file:
        for name in safetensors_header(source):
            tensors |= dict(_quantized(name, file.get_tensor(name), linear))
    save_file(tensors, target, metadata={"format": "pt"})


def _quantized(name: str, tensor: Any, linear: frozenset[str]) -> Iterator[tuple[str, Any]]:
    if name not in linear:
        yield name, tensor
        return
    torch: Any = importlib.import_module("torch")
    weight, scale = quantize_rows(tensor.float())
    yield name, weight.to(torch.int8)
    yield f"{name}_scale", scale.to(torch.bfloat16)


def quantize_rows(rows: Any) -> tuple[Any, Any]:
    """Of rows [N, K]: whole numbers from -127 to 127 and the scale [N, 1] of each row.

    The scale is one that bfloat16 holds, because that is how it is stored.
    """
    torch: Any = importlib.import_module("torch")
    scale = rows.abs().amax(dim=-1, keepdim=True).clamp(min=1e-12) / INT8_MAX
    scale = scale.to(torch.bfloat16).float()
    return (rows / scale).round().clamp(-INT8_MAX, INT8_MAX), scale


def _extend_index(made: Path) -> None:
    """Where there are several files, their index names the scales too."""
    path = made / "model.safetensors.index.json"
    if not path.is_file():
        return
    index = json.loads(path.read_text())
    for file in sorted(made.glob(WEIGHTS)):
        index["weight_map"] |= dict.fromkeys(safetensors_header(file), file.name)
    path.write_text(json.dumps(index, indent=2))


class _Reader:
    """The checkpoint with its linear layers rounded as vLLM will: no vLLM is needed for that."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        from transformers import AutoModelForCausalLM

        self._torch: Any = importlib.import_module("torch")
        self._model: Any = AutoModelForCausalLM.from_pretrained(
            str(checkpoint.folder),
            dtype=self._torch.float32,
            local_files_only=True,
            trust_remote_code=checkpoint.trust_remote_code,
        )
        for name, module in self._model.named_modules():
            if isinstance(module, self._torch.nn.Linear) and name != HEAD:
                module.weight.data = _rounded(module.weight.data)
                module.register_forward_pre_hook(lambda _, inputs: (_rounded(inputs[0]),))

    def __call__(self, token_ids: TokenIds) -> Logits:
        with self._torch.no_grad():
            ids = self._torch.from_numpy(token_ids[None])
            logits: Logits = self._model(ids).logits[0].numpy()
            return logits


def _rounded(rows: Any) -> Any:
    whole, scale = quantize_rows(rows)
    return whole * scale

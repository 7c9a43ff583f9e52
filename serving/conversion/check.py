"""Does the converted model say what its checkpoint says? Both read a text; logits are compared.

The builder takes a few architectures without doing them justice, and then its graph runs and
answers wrongly; this is where that shows. It also measures what int8 costs this very model.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.conversion.manifest import read_manifest
from serving.engines.onnx_decoder import OnnxDecoder
from serving.errors import ConfigError
from serving.step_model import StepModel

TEXT = (
    "The lighthouse stood at the end of a long pier, and every evening the keeper climbed its two "
    "hundred steps to light the lamp. On clear nights he counted the ships: fishing boats coming "
    "home, a ferry on its way to the islands, and now and then a freighter far out. What would "
    "happen if he fell asleep? He had asked himself that question 12,000 times, and he knew that "
    "nobody would notice for an hour at most."
)
MAX_TOKENS = 128
# Of the logits' own spread. Int8 costs a few hundredths; a graph that is wrong, several tenths.
MAX_ERROR = 0.25

Logits = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Deviation:
    """How far the converted model's logits are from the checkpoint's."""

    error: float  # root mean square, as a share of the checkpoint's standard deviation
    agreement: float  # share of positions with the same likeliest token

    def __str__(self) -> str:
        return (
            f"logits off by {self.error:.1%} of their spread, the same likeliest token at "
            f"{self.agreement:.0%} of positions"
        )


def check(model_dir: Path, folder: Path, *, trust_remote_code: bool = False) -> Deviation:
    """Compares a converted graph with its checkpoint; see check_model."""
    max_model_len = min(MAX_TOKENS, read_manifest(folder).max_model_len)
    decoder = OnnxDecoder(folder, num_rows=1, max_model_len=max_model_len, num_threads=2)
    return check_model(model_dir, decoder, trust_remote_code=trust_remote_code)


def check_model(model_dir: Path, model: StepModel, *, trust_remote_code: bool = False) -> Deviation:
    """Compares both on TEXT; raises ConfigError if the converted model is another model."""
    num_tokens = min(MAX_TOKENS, model.max_model_len)
    wanted, token_ids = _read_with_transformers(model_dir, num_tokens, trust_remote_code)
    deviation = compare(read(model, token_ids), wanted)
    if deviation.error > MAX_ERROR:
        raise ConfigError(
            f"what was made of {model_dir} does not answer as its checkpoint does ({deviation}); "
            "choose another engine for this model"
        )
    return deviation


def compare(got: Logits, wanted: Logits) -> Deviation:
    """Of logits [T, vocab]."""
    error = float(np.sqrt(np.square(got - wanted).mean()) / wanted.std())
    agreement = float((got.argmax(axis=1) == wanted.argmax(axis=1)).mean())
    return Deviation(error, agreement)


def _read_with_transformers(
    model_dir: Path, num_tokens: int, trust_remote_code: bool
) -> tuple[Logits, npt.NDArray[np.int64]]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch: Any = importlib.import_module("torch")
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": trust_remote_code}
    tokenizer = AutoTokenizer.from_pretrained(str(model_dir), **options)
    model = AutoModelForCausalLM.from_pretrained(str(model_dir), dtype=torch.float32, **options)
    token_ids = np.array(tokenizer(TEXT)["input_ids"][:num_tokens], np.int64)
    with torch.no_grad():
        logits = model(torch.from_numpy(token_ids[None])).logits[0]
    return logits.numpy(), token_ids


def read(model: StepModel, token_ids: npt.NDArray[np.int64]) -> Logits:
    """Logits [T, vocab]: all but the last position as a prompt, the last as a decoding step."""
    try:
        prompt = model.prefill(0, token_ids[:-1], 0, all_logits=True).copy()
        step = model.decode(token_ids[-1:], np.array([len(token_ids) - 1]))
    except RuntimeError as error:  # what ONNX Runtime raises when an operator fails
        raise ConfigError(
            f"the converted model does not run ({error}); choose another engine for this model"
        ) from error
    return np.concatenate([prompt, step])

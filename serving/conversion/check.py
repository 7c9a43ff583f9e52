"""Does the converted model say what its checkpoint says? Both read a text and go on from prompts.

Converters take a few architectures without doing them justice, and then what they made runs and
answers wrongly; this is where that shows. It also measures what fewer bits cost this very model.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.conversion.source import Checkpoint
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
PROMPTS = ("The capital of France is", "Once upon a time there was")
ANSWER_TOKENS = 16
# Of the logits' own spread. Int8 costs a few hundredths and int4 a tenth or two; a graph that is
# wrong, several tenths.
MAX_ERROR = {"int8": 0.25, "int4": 0.5}

Logits = npt.NDArray[np.float32]
TokenIds = npt.NDArray[np.int64]
ReadLogits = Callable[[TokenIds], Logits]
"""A model: token ids [T] to the logits [T, vocab] of every position."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What the checkpoint itself says."""

    text_ids: TokenIds
    text_logits: Logits
    prompts: tuple[TokenIds, ...]
    answers: tuple[TokenIds, ...]  # greedy
    decode: Callable[[TokenIds], str]


@dataclass(frozen=True, slots=True)
class Deviation:
    """How far the converted model is from the checkpoint."""

    error: float  # of logits: root mean square, as a share of the checkpoint's standard deviation
    agreement: float  # share of positions with the same likeliest token
    answers: tuple[tuple[str, str, str], ...] = ()  # prompt, checkpoint's answer, converted one's

    def __str__(self) -> str:
        same = sum(wanted == got for _, wanted, got in self.answers)
        return (
            f"logits off by {self.error:.1%} of their spread, the same likeliest token at "
            f"{self.agreement:.0%} of positions, {same} of {len(self.answers)} greedy answers equal"
        )

    def different_answers(self) -> list[str]:
        """One line for each."""
        return [
            f"{prompt!r} goes on {wanted!r} in the checkpoint and {got!r} here"
            for prompt, wanted, got in self.answers
            if wanted != got
        ]


def read_reference(checkpoint: Checkpoint, max_tokens: int = MAX_TOKENS) -> Reference:
    """Ask transformers, in 32 bits."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch: Any = importlib.import_module("torch")
    options: dict[str, Any] = {
        "local_files_only": True,
        "trust_remote_code": checkpoint.trust_remote_code,
    }
    folder = str(checkpoint.folder)
    tokenizer = AutoTokenizer.from_pretrained(folder, **options)
    # Newer versions say dtype, and know the word of older ones too.
    model = AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.float32, **options)

    def encode(text: str) -> TokenIds:
        return np.array(tokenizer(text)["input_ids"], np.int64)

    def read(token_ids: TokenIds) -> Logits:
        with torch.no_grad():
            logits: Logits = model(torch.from_numpy(token_ids[None])).logits[0].float().numpy()
            return logits

    text_ids = encode(TEXT)[: min(max_tokens, MAX_TOKENS)]
    prompts = tuple(map(encode, PROMPTS))
    answers = tuple(greedy(read, prompt) for prompt in prompts)
    return Reference(text_ids, read(text_ids), prompts, answers, tokenizer.decode)


def greedy(read: ReadLogits, prompt: TokenIds) -> TokenIds:
    """The likeliest tokens after the prompt, reading it all again for each."""
    token_ids = prompt
    for _ in range(ANSWER_TOKENS):
        token_ids = np.append(token_ids, read(token_ids)[-1].argmax())
    return token_ids[len(prompt) :]


def check(reference: Reference, read: ReadLogits, data_type: str) -> Deviation:
    """Compare; raises ConfigError if the converted model is another model."""
    error, agreement = compare(read(reference.text_ids), reference.text_logits)
    answers = (greedy(read, prompt) for prompt in reference.prompts)
    deviation = Deviation(
        error,
        agreement,
        tuple(
            (reference.decode(prompt), reference.decode(wanted), reference.decode(got))
            for prompt, wanted, got in zip(
                reference.prompts, reference.answers, answers, strict=True
            )
        ),
    )
    if error > MAX_ERROR[data_type]:
        raise ConfigError(
            f"the converted model does not answer as its checkpoint does ({deviation}); choose "
            "another engine, or a finer data type, for this model"
        )
    return deviation


def read_model(model: StepModel, token_ids: TokenIds) -> Logits:
    """ReadLogits of a model in steps: all but the last position as a prompt, the last as a step."""
    try:
        prompt = model.prefill(0, token_ids[:-1], 0, all_logits=True).copy()
        step = model.decode(token_ids[-1:], np.array([len(token_ids) - 1]))
    except RuntimeError as error:  # what engines' libraries raise when an operator fails
        raise ConfigError(
            f"the converted model does not run ({error}); choose another engine for this model"
        ) from error
    return np.concatenate([prompt, step])


def compare(got: Logits, wanted: Logits) -> tuple[float, float]:
    """Error and agreement of logits [T, vocab], as in Deviation."""
    error = float(np.sqrt(np.square(got - wanted).mean()) / wanted.std())
    agreement = float((got.argmax(axis=1) == wanted.argmax(axis=1)).mean())
    return error, agreement

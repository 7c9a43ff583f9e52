"""What speculation makes of one sequence: on text that repeats itself, a little, and never.

The weights are random, so the text is made by the sampling rules: `logit_bias` leaves a few tokens
to choose from. One of them is a text that repeats itself, two are one whose drafts are right half
of the time; without a bias tokens hardly ever follow each other twice. Every answer is made with
and without drafts, in turns, by the batcher as it serves; only HTTP is left out.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.decoder import Bandwidth, Sample
from serving.batching import ContinuousBatcher
from serving.conversion.manifest import VERIFY_SIZES, conversion_command, converted_folder
from serving.engines.onnx_decoder import OnnxDecoder
from serving.errors import ConfigError
from serving.speculation import Speculation
from serving.tokenizer import CheckpointTokenizer
from serving.types import GenerateRequest, SamplingParams

PLAIN, DRAFTS = "decoded", "with drafts"
BIAS = 100.0  # the most a caller may ask: nothing else is chosen
TEXTS: Mapping[str, Mapping[int, float]] = {
    "repeats itself": {7: BIAS},
    "half of it": {7: BIAS, 8: BIAS},
    "never": {},
}
PROMPT_TOKENS = 128
ANSWER_TOKENS = 128


@dataclass(frozen=True, slots=True)
class Answer:
    """One measurement of one arm."""

    sample: Sample
    num_draft_tokens: int
    num_accepted_tokens: int


def measure(model: Path, *, rounds: int, num_threads: int) -> dict[tuple[str, str], list[Answer]]:
    """By text and arm."""
    context = PROMPT_TOKENS + ANSWER_TOKENS
    folder = converted_folder(model, "onnx")
    decoder = OnnxDecoder(folder, 2, context, num_threads)
    if not decoder.verify_sizes:
        raise ConfigError(
            f"{folder} was converted by an earlier version; run `{conversion_command(folder)}`"
        )
    tokenizer = CheckpointTokenizer(model, decoder.vocab_size)
    speculations = {PLAIN: None, DRAFTS: Speculation(decoder, VERIFY_SIZES[-1] - 1)}
    bandwidth = Bandwidth(num_threads)
    cases = [(text, arm) for text in TEXTS for arm in speculations]
    answers: dict[tuple[str, str], list[Answer]] = {case: [] for case in cases}
    for number in range(-1, rounds):  # the first call of each shape plans its memory
        for text, arm in cases:
            print(f"  round {number + 1}/{rounds}: {text}, {arm}", file=sys.stderr)
            bytes_per_s = bandwidth()
            batcher = ContinuousBatcher(
                decoder,
                tokenizer,
                context * decoder.kv_bytes_per_token,
                speculation=speculations[arm],
            )
            answer = _answer(batcher, bytes_per_s, TEXTS[text])
            if number >= 0:
                answers[text, arm].append(answer)
    decoder.close()
    return answers


def _answer(
    batcher: ContinuousBatcher, bytes_per_s: float, logit_bias: Mapping[int, float]
) -> Answer:
    """One answer, timed from its first token on."""
    sampling = SamplingParams(
        max_tokens=ANSWER_TOKENS, ignore_eos=True, seed=1, logit_bias=logit_bias
    )
    prompt = tuple(range(100, 100 + PROMPT_TOKENS))
    batcher.add(batcher.prepare(GenerateRequest("bench", prompt, sampling))[0])
    while not batcher.step():
        pass
    before, began_s = batcher.occupancy(), time.perf_counter()
    while batcher.busy:
        batcher.step()
    seconds, after = time.perf_counter() - began_s, batcher.occupancy()
    return Answer(
        Sample(bytes_per_s, (ANSWER_TOKENS - 1) / seconds),
        after.num_draft_tokens - before.num_draft_tokens,
        after.num_accepted_tokens - before.num_accepted_tokens,
    )

"""What everybody is asked: the same prompts, and answers of the same length. Pure.

At each concurrency twice, all requests at once: answers of one token, whose time is the prompts',
and long ones, whose further tokens take what is left of the time. So decoding is measured alike
where answers are streamed and where they are not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from inference.bench.compare.plans import Later
from inference.bench.prompts.lengths import parse_length
from inference.bench.prompts.synthetic import SyntheticPrompts
from inference.bench.prompts.tokenizer import BenchTokenizer

PROMPT_TOKENS = 128
FIRST_TOKEN = 1
WARMUP_TOKENS = 8
SHORTEST_PROMPT = 8  # of a warm-up
LOADS_EACH = 3  # at each concurrency
MAX_MODEL_LEN = 512
FEWEST_REQUESTS = 3  # a single answer is over too soon to be measured well


@dataclass(frozen=True, slots=True)
class Load:
    """So many requests at once, until all of them are answered."""

    concurrency: int
    answer_tokens: int
    first_prompt: int  # the number of its first prompt; nobody is asked the same twice
    prompt_tokens: int = PROMPT_TOKENS
    counts: bool = True  # else it warms the arm up

    @property
    def num_requests(self) -> int:
        return num_requests(self.concurrency)


def num_requests(concurrency: int) -> int:
    """Enough, and whole rows of clients: a last one alone would be another load."""
    return concurrency * math.ceil(FEWEST_REQUESTS / concurrency)


def loads(concurrency: Sequence[int], answer_tokens: int, number: int) -> Iterator[Load]:
    """Of round `number`, at each concurrency: a warm-up, one token, and whole answers."""
    first = number * LOADS_EACH * sum(map(num_requests, concurrency))
    for each in concurrency:
        short = max(SHORTEST_PROMPT, PROMPT_TOKENS // each)  # no longer, together, than a prompt
        yield Load(each, WARMUP_TOKENS, first, short, counts=False)
        yield Load(each, FIRST_TOKEN, first + num_requests(each))
        yield Load(each, answer_tokens, first + 2 * num_requests(each))
        first += LOADS_EACH * num_requests(each)


def prompts(tokenizer: str, load: Load) -> Later:
    """The load's prompts as token ids, from number 0 on."""
    source = SyntheticPrompts(
        prompt_tokens=parse_length(str(load.prompt_tokens), "prompt_tokens"),
        output_tokens=parse_length(str(load.answer_tokens), "answer_tokens"),
        route="completions",
        tokenizer=_tokenizer(tokenizer),
        seed=0,
    )
    return Later(source, load.first_prompt)


@cache
def _tokenizer(folder: str) -> BenchTokenizer:
    return BenchTokenizer(folder)

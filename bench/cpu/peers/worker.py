"""What peers share: orders come in on standard input, measurements go out on standard output.

An order is a line {"prompts": [[token, …], …], "max_new_tokens": n}: all these prompts at once. The
answer is a line {"duration_s": …, "first_s": [of each prompt], "tokens": [of each prompt]}. Nothing
but the standard library is imported here.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

# For each step, the number of a prompt once for every token that it was given.
Generate = Callable[[list[list[int]], int], Iterator[Sequence[int]]]

READY = "ready"


@dataclass(frozen=True, slots=True)
class Opening:
    """Which model, and how much of it at once."""

    weights: Path
    num_threads: int
    max_num_seqs: int
    max_model_len: int
    low_bit: str | None  # for libraries that quantise while they load


def main(open_model: Callable[[Opening], Generate]) -> None:
    """Opens the model, says so, and carries out orders until there are no more."""
    answers = own_output()
    generate = open_model(opening(sys.argv[1:]))
    print(READY, file=answers, flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        measured = measure(generate, order["prompts"], order["max_new_tokens"])
        print(json.dumps(measured), file=answers, flush=True)


def own_output() -> TextIO:
    """Standard output for answers alone: what libraries print there goes to standard error."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return answers


def opening(arguments: Sequence[str]) -> Opening:
    parser = argparse.ArgumentParser()
    parser.add_argument("weights", type=Path)
    for name in ("--num-threads", "--max-num-seqs", "--max-model-len"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--low-bit")
    return Opening(**vars(parser.parse_args(arguments)))


def measure(generate: Generate, prompts: list[list[int]], max_new_tokens: int) -> dict[str, Any]:
    """Seconds from the order on."""
    first_s = [0.0] * len(prompts)
    tokens = [0] * len(prompts)
    began_s = time.perf_counter()
    for rows in generate(prompts, max_new_tokens):
        now_s = time.perf_counter() - began_s
        for row in rows:
            if not tokens[row]:
                first_s[row] = now_s
            tokens[row] += 1
    return {"duration_s": time.perf_counter() - began_s, "first_s": first_s, "tokens": tokens}

"""How much one client process can hear, and what hearing costs it.

Thousands of streams from two echo replicas, whose pace is known: what is late or missing is the
replicas' fault or the client's, and the client's processor time tells how far it was from its end.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench.servers import wait_until_it_answers
from inference.bench import runner
from inference.bench.plan import Load, RunPlan, Target
from inference.bench.prompts.lengths import parse_length
from inference.bench.prompts.synthetic import SyntheticPrompts
from inference.bench.report.model import RunReport
from inference.local.ports import free_port

STREAMS = 2500
TOKENS_PER_S = 11.0  # of each stream: together more than 20,000 events/s
ANSWER_TOKENS = 110  # ten seconds
NUM_REPLICAS = 2


def measure(rounds: int) -> list[RunReport]:
    """One run for each round, in one client process."""
    with ExitStack() as stack:
        urls = tuple(stack.enter_context(_echo()) for _ in range(NUM_REPLICAS))
        return [runner.run(_plan(urls, number)) for number in range(rounds)]


def _plan(urls: tuple[str, ...], number: int) -> RunPlan:
    prompts = SyntheticPrompts(
        prompt_tokens=parse_length("16", "prompt_tokens"),
        output_tokens=parse_length(str(ANSWER_TOKENS), "output_tokens"),
        route="completions",
        tokenizer=None,
        seed=number,
    )
    target = Target(urls, route="completions", model="echo", sampling={"ignore_eos": True})
    load = Load(concurrency=STREAMS, num_requests=2 * STREAMS)
    return RunPlan(f"{STREAMS} streams", target, prompts, load, round=number)


@contextmanager
def _echo() -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "bench.echo_replica", str(port), str(TOKENS_PER_S)]
    process = subprocess.Popen(command)
    try:
        wait_until_it_answers(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()

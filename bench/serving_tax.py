"""What serving costs: the same requests to the engine itself and through ever more of the house.

Four arms: the engine in a process of its own with clients inside it; the replica's own HTTP port;
the same replica through HAProxy; another replica through Ray Serve's Python proxy. The HTTP arms'
clients run in this process, so they share the machine with what they measure.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

from bench.engine_alone import EngineAlone
from bench.servers import serving
from inference.bench import runner
from inference.bench.compare.comparison import Asked, compared
from inference.bench.compare.config import LoadConfig
from inference.bench.compare.gates import Gate, from_lines
from inference.bench.compare.parity import ArmFacts
from inference.bench.compare.plans import Plans
from inference.bench.compare.schedule import WARMUP, turns
from inference.bench.report.model import Comparison, RunReport
from serving.types import EngineSettings

BATCH_SIZE = 32
ENGINE, REPLICA, HAPROXY, PYTHON = "engine", "replica", "haproxy", "python-proxy"
ARMS = (ENGINE, REPLICA, HAPROXY, PYTHON)
MODEL = "bench"
GATES = ("haproxy/engine output_tokens_per_s >= 0.95",)


def measure(model: Path, *, rounds: int, num_threads: int) -> tuple[list[RunReport], Comparison]:
    """Every arm's runs, and what they are next to each other; the arms take turns."""
    plans = Plans(_load(model), headers={})
    runs: list[RunReport] = []
    with ExitStack() as stack:
        options = {"batch_size": BATCH_SIZE, "num_threads": num_threads}
        fast = stack.enter_context(serving(model, proxy="haproxy", **options))
        slow = stack.enter_context(serving(model, proxy="python", **options))
        settings = EngineSettings(model, max_num_seqs=BATCH_SIZE, num_threads=num_threads)
        engine = stack.enter_context(EngineAlone(settings))
        ports = {REPLICA: fast.replica_port(), HAPROXY: fast.port, PYTHON: slow.port}
        for turn in turns(ARMS, points=len(plans.points), rounds=rounds, warmup_rounds=1):
            print(f"  round {turn.round}/{rounds}: {turn.arm}", file=sys.stderr)
            plan = plans.plan(turn, f"http://127.0.0.1:{ports.get(turn.arm)}", MODEL)
            report = engine.run(plan) if turn.arm == ENGINE else runner.run(plan)
            if turn.round != WARMUP:
                runs.append(report)
    asked = Asked(ARMS, ENGINE, rounds, gates=_gates())
    facts = {arm: ArmFacts(model=MODEL, sent=plans.sampling) for arm in ARMS}
    return runs, compared(asked, facts, runs)


def _load(model: Path) -> LoadConfig:
    return LoadConfig(
        route="completions",
        concurrency=[1, 8, 32],
        num_requests={1: 6, 8: 24, 32: 64},
        warmup_requests=0,  # there is a warm-up round
        prompt_tokens="32",
        output_tokens="128",
        tokenizer=str(model),
    )


def _gates() -> list[Gate]:
    return from_lines(GATES, lambda number: f"gate {number}")

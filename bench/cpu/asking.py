"""Starting an arm, and asking it: over HTTP, or a worker by its standard input."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import yaml

from bench.cpu import commands
from bench.cpu.arms import Arm, Serve, Worker
from bench.cpu.commands import Room, serve_config
from bench.cpu.loads import Load, prompts
from bench.cpu.peers.worker import READY
from bench.models import ROOT
from inference.bench import plan, probe, runner
from inference.bench.compare.servers import started
from inference.bench.report.model import RunReport
from inference.local.engine_environments import is_here
from serving.cpu.auto_engine import AUTO, Choice, choose_engine
from serving.cpu.processor import this_processor
from serving.errors import ConfigError

STOP_TIMEOUT_S = 20.0
TAIL_BYTES = 2000


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of a load."""

    prompt_tokens: int
    output_tokens: int
    duration_s: float
    ttft_ms: float


Ask = Callable[[Load], Answered]


@contextmanager
def running(arm: Arm, model: Path, weights: Path, room: Room) -> Iterator[Ask]:
    """The arm, ready to be asked; it is gone afterwards.

    Raises ConfigError if it does not start; asking it does, if it does not give what was asked for.
    """
    start = _worker if isinstance(arm.run, Worker) else _server
    with start(arm, model, weights, room) as ask:
        yield ask


@contextmanager
def _server(arm: Arm, model: Path, weights: Path, room: Room) -> Iterator[Ask]:
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "serve.yaml"
        if isinstance(arm.run, Serve):
            engine = taken(arm.run, model, room.concurrency).engine
            config.write_text(yaml.safe_dump(serve_config(arm.run, engine, model, room)))
        with started(commands.server(arm, weights, config, room)) as server:
            server.wait_ready(plan.Interrupt())
            name = probe.model_id(probe.server(server.arm.url, {}), None)

            def ask(load: Load) -> Answered:
                target = plan.Target(
                    urls=(server.arm.url,),
                    route="completions",
                    model=name,
                    sampling={"temperature": 0, "ignore_eos": True},
                )
                asked = plan.Load(concurrency=load.concurrency, num_requests=load.num_requests)
                run = plan.RunPlan(asked.name, target, prompts(str(model), load), asked)
                return answered(runner.run(run), load)

            yield ask


def taken(run: Serve, model: Path, concurrency: int) -> Choice:
    """The engine that is going to run, also where `auto` chooses it."""
    if run.engine == AUTO:
        return choose_engine(model, this_processor(), concurrency, usable=is_here)
    return Choice(run.engine, run.data_type, "named")


def answered(report: RunReport, load: Load) -> Answered:
    """Raises ConfigError unless every request got all of its tokens. Pure."""
    if report.requests.failed or report.ttft_ms is None:
        reasons = "; ".join(each.example for each in report.requests.errors)
        raise ConfigError(f"{report.requests.failed} of {load.num_requests} failed ({reasons})")
    check_tokens(report.tokens.output, load)
    return Answered(
        report.tokens.prompt, report.tokens.output, report.duration_s, report.ttft_ms.p50
    )


def check_tokens(num_tokens: int, load: Load) -> None:
    """Raises ConfigError for answers of another length than all the others'."""
    wanted = load.num_requests * load.answer_tokens
    if num_tokens != wanted:
        raise ConfigError(f"it gave {num_tokens} tokens where {wanted} were asked for")


@contextmanager
def _worker(arm: Arm, model: Path, weights: Path, room: Room) -> Iterator[Ask]:
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(
            commands.worker(arm, weights, room),
            cwd=ROOT,
            env={**os.environ, **commands.variables(room, os.environ)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=words,
            text=True,
            start_new_session=True,  # an interrupt is ours to hear
        )
        try:
            if _line(process, words).strip() != READY:
                raise ConfigError("it said something else than that it is ready")
            yield lambda load: _order(process, words, str(model), load)
        finally:
            _stop(process)


def _order(process: subprocess.Popen[str], words: IO[bytes], model: str, load: Load) -> Answered:
    source = prompts(model, load)
    token_ids = [list(source.prompt(number).token_ids) for number in range(load.num_requests)]
    measured: list[Mapping[str, Any]] = []
    for start in range(0, len(token_ids), load.concurrency):
        together = token_ids[start : start + load.concurrency]
        order = {"prompts": together, "max_new_tokens": load.answer_tokens}
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # its last words are read below
            print(json.dumps(order), file=process.stdin, flush=True)
        measured.append(json.loads(_line(process, words)))
    return put_together(measured, token_ids, load)


def put_together(
    measured: Sequence[Mapping[str, Any]], token_ids: Sequence[Sequence[int]], load: Load
) -> Answered:
    """Orders one after the other as one load. Pure; raises ConfigError as `answered` does."""
    num_tokens = sum(sum(each["tokens"]) for each in measured)
    check_tokens(num_tokens, load)
    return Answered(
        prompt_tokens=sum(map(len, token_ids)),
        output_tokens=num_tokens,
        duration_s=sum(each["duration_s"] for each in measured),
        ttft_ms=1000 * statistics.median(first for each in measured for first in each["first_s"]),
    )


def _line(process: subprocess.Popen[str], words: IO[bytes]) -> str:
    """The worker's next; raises ConfigError with its last words if there is none."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        size = os.fstat(words.fileno()).st_size
        last = os.pread(words.fileno(), TAIL_BYTES, max(0, size - TAIL_BYTES))
        raise ConfigError(f"it ended early; its last words: {last.decode(errors='replace')}")
    return line


def _stop(process: subprocess.Popen[str]) -> None:
    """It ends when there are no more orders, or is killed."""
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.close()
        process.wait(STOP_TIMEOUT_S)
    except (BrokenPipeError, subprocess.TimeoutExpired):
        process.kill()
        process.wait()
    finally:
        process.stdout.close()

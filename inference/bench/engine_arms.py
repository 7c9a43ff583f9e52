"""The engines that can run a model on this machine, as arms of a comparison; and their speeds."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.bench.report.model import RunReport
from serving.conversion.manifest import converted_folder
from serving.cpu.engine_speeds import EngineSpeed
from serving.gguf_source import gguf_files

START_TIMEOUT_S = 600.0
# Engines that need a conversion have a folder for each type; the others take the checkpoint.
CONVERTED = {"onnx": ("int8", "int4"), "openvino": ("int8", "int4"), "optimum": ("int8",)}
UNCONVERTED = {"transformers": ("bfloat16", "int8")}
REQUESTS_PER_CLIENT = 3  # of a run: some seconds even for slow engines


@dataclass(frozen=True, slots=True)
class EngineArm:
    """One engine with weights of one type."""

    engine: str
    data_type: str

    @property
    def name(self) -> str:
        """As reports call it."""
        return f"{self.engine}-{self.data_type}"


def find_arms(model: Path, usable: Callable[[str], bool]) -> list[EngineArm]:
    """Those whose library and whose weights are here, the default engine's first."""
    converted = [
        EngineArm(engine, data_type)
        for engine, data_types in CONVERTED.items()
        for data_type in data_types
        if converted_folder(model, engine, data_type).is_dir()  # a conversion appears whole
    ]
    unconverted = [
        EngineArm(engine, data_type)
        for engine, data_types in UNCONVERTED.items()
        for data_type in data_types
        if any(model.glob("*.safetensors"))
    ]
    # Of several GGUF files nobody has said which.
    gguf = [EngineArm("llama_cpp", "auto")] if len(gguf_files(model)) == 1 else []
    return [each for each in [*converted, *gguf, *unconverted] if usable(each.engine)]


def comparison(
    model: Path,
    arms: Iterable[EngineArm],
    *,
    concurrency: list[int],
    rounds: int,
    num_threads: int,
    max_model_len: int,
) -> dict[str, Any]:
    """What `anynode bench compare` is told: each arm is `anynode serve` on a port of its own."""
    return {
        "arms": {
            each.name: _arm(model, each, max(concurrency), num_threads, max_model_len)
            for each in arms
        },
        "rounds": rounds,
        "pause_idle": True,  # all stay in memory, and only the one that is asked computes
        "load": {
            "route": "completions",
            "concurrency": concurrency,
            "num_requests": {each: each * REQUESTS_PER_CLIENT for each in concurrency},
            "warmup_requests": 2,
            "prompt_tokens": "128",
            "output_tokens": "32:64",  # of one length, all clients would start anew together
            "temperature": 0,
            "tokenizer": str(model),
        },
    }


def _arm(
    model: Path, arm: EngineArm, batch_size: int, num_threads: int, max_model_len: int
) -> dict[str, Any]:
    command = [sys.executable, "-m", "inference.cli.main", "serve", str(model), "--port", "{port}"]
    command += ["--engine", arm.engine, "--data-type", arm.data_type]
    command += ["--batch-size", str(batch_size), "--num-threads", str(num_threads)]
    command += ["--max-model-len", str(max_model_len)]
    return {"command": command, "ready": "/health", "start_timeout_s": START_TIMEOUT_S}


def speeds(
    arms: Iterable[EngineArm], runs: Iterable[RunReport], points: Mapping[str, int]
) -> tuple[EngineSpeed, ...]:
    """Medians over the rounds; `points` are the loads' names and their requests at once."""
    found = []
    by_arm: dict[str, dict[int, list[float]]] = {}
    for run in runs:
        at = by_arm.setdefault(run.arm or "", {}).setdefault(points[run.name], [])
        at.append(run.throughput.output_tokens_per_s)
    for arm in arms:
        medians = {at: statistics.median(each) for at, each in by_arm.get(arm.name, {}).items()}
        found.append(EngineSpeed(arm.engine, arm.data_type, medians))
    return tuple(found)

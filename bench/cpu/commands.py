"""What starts an arm: command lines and their environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.cpu.arms import Arm, Serve, VLLMServe, Worker
from bench.cpu.loads import MAX_MODEL_LEN
from bench.vllm.arms import options
from inference.args import VLLM
from inference.bench.compare import arms as compared
from inference.local.engine_environments import CACHE
from serving.engines import onnx

# Text of random weights goes round in circles as no other does. An engine that guesses ahead by
# what was said before would gain by it what nobody else ever will.
ENGINE_KWARGS = {"onnx": {onnx.NUM_SPECULATIVE_TOKENS: 0}}

START_TIMEOUT_S = 900.0  # vLLM compiles when it meets a model for the first time
MODEL_ID = "bench"


@dataclass(frozen=True, slots=True)
class Room:
    """How much of the machine an arm gets, and for how many requests."""

    num_threads: int
    concurrency: int
    vendor: str  # of the CPU


def python(environment: str | None) -> Path:
    """Of an environment in .cache, or the one that runs this."""
    return CACHE / environment / "bin" / "python" if environment else Path(sys.executable)


# vLLM by itself leaves one core to serving, which costs it most where there are few; with a thread
# on each it was fastest. What whoever runs this has set for vLLM stays.
VLLM_VARIABLES = {
    "VLLM_CPU_OMP_THREADS_BIND": ",".join(map(str, sorted(os.sched_getaffinity(0)))),
    "VLLM_CPU_KVCACHE_SPACE": "2",  # GiB
    "VLLM_HOST_IP": "127.0.0.1",
    "VLLM_NO_USAGE_STATS": "1",
}


def variables(room: Room, inherited: Mapping[str, str]) -> dict[str, str]:
    """For all arms: who is to use the threads, and that nothing is fetched."""
    vllm = {name: inherited.get(name, value) for name, value in VLLM_VARIABLES.items()}
    return {"OMP_NUM_THREADS": str(room.num_threads), "HF_HUB_OFFLINE": "1", **vllm}


def server(arm: Arm, weights: Path, config: Path, room: Room) -> compared.Arm:
    """An arm that answers over HTTP: ours by its Serve config, vLLM by its weights."""
    if isinstance(arm.run, Serve):
        anynode = [sys.executable, "-m", "inference.cli.main"]
        command = [*anynode, "serve", str(config), "--port", compared.PORT]
    else:
        assert isinstance(arm.run, VLLMServe)
        command = vllm_serve(python(arm.environment), weights, room)
    return compared.Arm(
        name=arm.name,
        url=compared.OWN_URL,
        command=tuple(command),
        env=variables(room, os.environ),
        start_timeout_s=START_TIMEOUT_S,
    )


def serve_config(run: Serve, engine: str, model: Path, room: Room) -> dict[str, Any]:
    """For `anynode serve`, which finds weights and environments by itself.

    `engine` is the one that is going to run; `run` may leave the choice to `auto`.
    """
    said = {
        "model_name": str(model.resolve()),
        "served_model_name": MODEL_ID,
        "engine": run.engine,
        "engine_kwargs": ENGINE_KWARGS.get(engine),
        "data_type": run.data_type,
        # Without it vLLM's engine means GPUs.
        "target_device": target_device(room.vendor) if run.engine == VLLM else None,
        "batch_size": room.concurrency,
        "max_model_len": MAX_MODEL_LEN,
        "num_threads": room.num_threads,
    }
    application = {
        "name": MODEL_ID,
        "route_prefix": "/",
        "import_path": "inference:typed_app_builder",
        "args": {name: each for name, each in said.items() if each},
    }
    # No line in a log for each request, as with vLLM's own server.
    return {"logging_config": {"enable_access_log": False}, "applications": [application]}


def target_device(vendor: str) -> str:
    """In our arguments' word; other vendors' CPUs go by AMD's."""
    return "INTEL" if vendor == "Intel" else "AMD"


def vllm_serve(python: Path, weights: Path, room: Room) -> list[str]:
    """vLLM's own server; its command `vllm serve` is lost in a build that is called vllm-cpu."""
    said = {
        "model": weights,
        "host": "127.0.0.1",
        "port": compared.PORT,
        "served_model_name": MODEL_ID,
        "max_num_seqs": room.concurrency,
        "max_model_len": MAX_MODEL_LEN,
        "gpu_memory_utilization": 0.2,  # on CPUs: a share of memory that must be free at the start
    }
    command = [str(python), "-m", "vllm.entrypoints.openai.api_server"]
    return [*command, "--disable-uvicorn-access-log", *options(said)]


def worker(arm: Arm, weights: Path, room: Room) -> list[str]:
    """A peer in a process of its own."""
    assert isinstance(arm.run, Worker)
    said = {
        "num_threads": room.num_threads,
        "max_num_seqs": room.concurrency,
        "max_model_len": MAX_MODEL_LEN,
    }
    command = [str(python(arm.environment)), "-m", f"bench.cpu.peers.{arm.run.module}"]
    return [*command, str(weights), *options(said), *arm.run.options]

"""Several replicas behind one URL: do they give several times the tokens?

Paced echo replicas compute nothing, so what is lost on the way from one to many is lost by the
HTTP path alone: the replicas' faces, HAProxy, and the client, all on this machine. Its limit is
measured too, with more streams than it can carry.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from bench.servers import serving_config
from inference.bench import runner
from inference.bench.plan import Load, RunPlan, Target
from inference.bench.prompts.lengths import parse_length
from inference.bench.prompts.synthetic import SyntheticPrompts
from inference.bench.report.model import RunReport

NUM_REPLICAS = (1, 2, 4, 8)
STREAMS = 16  # for each replica
TOKENS_PER_S = 20.0  # of each stream
ANSWER_TOKENS = 100
REQUESTS = 4  # of each stream
LIMIT_STREAMS = 64  # for each of 8 replicas: more than the machine carries


def measure(rounds: int) -> dict[str, list[RunReport]]:
    """Runs by what they measured: `1` to `8` replicas, and `limit`."""
    runs: dict[str, list[RunReport]] = {}
    for number in range(rounds):
        for replicas in NUM_REPLICAS:
            print(f"  round {number + 1}/{rounds}: {replicas} replicas", file=sys.stderr)
            with _echoes(replicas) as url:
                runner.run(_plan(url, f"{replicas} warming up", STREAMS, 1))
                run = runner.run(_plan(url, str(replicas), replicas * STREAMS, REQUESTS))
                runs.setdefault(run.name, []).append(run)
                if replicas == NUM_REPLICAS[-1]:
                    limit = _plan(url, "limit", replicas * LIMIT_STREAMS, 2)
                    runs.setdefault("limit", []).append(runner.run(limit))
    return runs


def _plan(url: str, name: str, streams: int, requests: int) -> RunPlan:
    prompts = SyntheticPrompts(
        prompt_tokens=parse_length("16", "prompt_tokens"),
        output_tokens=parse_length(str(ANSWER_TOKENS), "output_tokens"),
        route="completions",
        tokenizer=None,
        seed=0,
    )
    target = Target((url,), route="completions", model="echo", sampling={"ignore_eos": True})
    load = Load(concurrency=streams, num_requests=streams * requests)
    return RunPlan(name, target, prompts, load)


@contextmanager
def _echoes(num_replicas: int) -> Iterator[str]:
    """So many paced echo replicas behind one URL."""
    args = {
        "model_name": "echo",
        "target_device": "AMD",
        "engine": "echo",
        "engine_kwargs": {"tokens_per_s": TOKENS_PER_S},
        "batch_size": LIMIT_STREAMS,
        "max_queued_requests": LIMIT_STREAMS,
    }
    deployment = {
        "name": "CPUDeployment",
        "num_replicas": num_replicas,
        "ray_actor_options": {"num_cpus": 0.1},
    }
    application = {
        "name": "echo",
        "import_path": "inference:typed_app_builder",
        "route_prefix": "/",
        "args": args,
        "deployments": [deployment],
    }
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "echo.yaml"
        config.write_text(yaml.safe_dump({"applications": [application]}))
        with serving_config(config) as server:
            yield f"http://127.0.0.1:{server.port}"

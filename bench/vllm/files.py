"""A shape's comparison in files, for `anynode bench compare` to read: also by hand, from the root.

All is written anew below `.cache/bench/vllm` for every run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.models import CACHE, ROOT, random_checkpoint
from bench.vllm import arms

# Each with its Serve config, the proxy it runs behind, and the path that tells when it is ready.
SERVED: Mapping[str, tuple[Callable[[str], dict[str, Any]], str, str]] = {
    arms.HAPROXY: (arms.ours, "haproxy", "/health"),
    arms.PYTHON_PROXY: (arms.ours, "python", "/health"),
    arms.RAY_LLM: (arms.ray_llm, "python", "/v1/models"),
    arms.RAY_LLM_DIRECT: (arms.ray_llm_direct, "haproxy", "/v1/models"),
}
GATES = (
    ({arms.HAPROXY}, "haproxy/bare output_tokens_per_s >= 0.97"),
    ({arms.HAPROXY}, "haproxy - bare ttft_p50_ms <= 3"),
    ({arms.HAPROXY}, "haproxy - bare ttft_p95_ms <= 10"),
    ({arms.HAPROXY, arms.RAY_LLM}, "haproxy/ray-llm output_tokens_per_s >= 2.0 @ 32"),
)


@dataclass(frozen=True, slots=True)
class Shape:
    """A model, and how many requests of each load make a run of some seconds."""

    title: str
    model: Callable[[], Path]
    num_requests: Mapping[int, int]  # by concurrency


SHAPES = {
    "tiny": Shape(
        "4 M parameters (models/anynode-demo)",
        lambda: ROOT / "models" / "anynode-demo",
        {1: 16, 8: 64, 32: 160, 64: 256},
    ),
    "110m": Shape(
        "110 M parameters, random",
        lambda: random_checkpoint("110m"),
        {1: 6, 8: 24, 32: 64, 64: 128},
    ),
}


def folder(shape: str) -> Path:
    return CACHE / "vllm" / shape


def write(shape: str, names: Collection[str], rounds: int) -> Path:
    """Writes what the arms named read, and the comparison; returns the comparison's path."""
    model = _from_root(SHAPES[shape].model())
    folder(shape).mkdir(parents=True, exist_ok=True)
    servers = {arms.BARE: arms.bare(model)}
    for name, (config, proxy, ready) in SERVED.items():
        if name in names:
            path = _write(folder(shape) / f"{name}.yaml", config(model))
            servers[name] = arms.served(_from_root(path), proxy, ready)
    content = comparison(servers, SHAPES[shape].num_requests, model, rounds)
    return _write(folder(shape) / "comparison.yaml", content)


def comparison(
    servers: Mapping[str, Any], num_requests: Mapping[int, int], model: str, rounds: int
) -> dict[str, Any]:
    """What `anynode bench compare` is told; gates about arms that are left out are left out."""
    return {
        "arms": dict(servers),
        "baseline": arms.BARE,
        "rounds": rounds,
        "pause_idle": True,  # an idle Serve takes a tenth of a core or more from whoever is asked
        "load": {
            "route": "completions",
            "concurrency": list(num_requests),
            "num_requests": dict(num_requests),
            "warmup_requests": 8,
            "prompt_tokens": "32",
            "output_tokens": "64:128",  # of one length, all clients would start anew together
            "tokenizer": model,
        },
        "gates": [line for needed, line in GATES if needed <= set(servers)],
    }


def _write(path: Path, content: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def _from_root(path: Path) -> str:
    return str(path.relative_to(ROOT))

"""Who takes part: engines of ours in `anynode serve`, and their peers. Data only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from serving.cpu.auto_engine import AUTO


@dataclass(frozen=True, slots=True)
class Serve:
    """An engine of ours, over HTTP."""

    engine: str
    data_type: str | None = None
    for_each_concurrency: bool = False  # started anew, with room for just as many requests


@dataclass(frozen=True, slots=True)
class VLLMServe:
    """vLLM's own server."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A library without a server: a module of `bench.cpu.peers` in a process of its own."""

    module: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Arm:
    """One of those that are compared."""

    name: str
    run: Serve | VLLMServe | Worker
    bits: int  # of a weight
    weights: str | None = None  # of `weights.WEIGHTS`; None: whatever is there
    environment: str | None = None  # `make NAME` makes it in .cache; None: where we run
    is_main: bool = True  # fast enough to wait for
    most: int | None = None  # requests at once; more would take hours and tell nothing

    @property
    def is_peer(self) -> bool:
        return not isinstance(self.run, Serve)

    def starts(self, concurrency: Sequence[int]) -> list[list[int]]:
        """The loads it is asked, those of each start together."""
        asked = [each for each in concurrency if self.most is None or each <= self.most]
        if isinstance(self.run, Serve) and self.run.for_each_concurrency:
            return [[each] for each in asked]
        return [asked] if asked else []


OURS = (
    Arm("onnx-int8", Serve("onnx", "int8"), 8, "onnx-int8"),
    Arm("onnx-int4", Serve("onnx", "int4"), 4, "onnx-int4"),
    Arm("openvino-int8", Serve("openvino", "int8"), 8, "openvino-int8"),
    Arm("openvino-int4", Serve("openvino", "int4"), 4, "openvino-int4"),
    Arm("vllm-int8", Serve("vllm", "int8"), 8, "vllm-int8", "vllm"),
    Arm("llama_cpp-q8_0", Serve("llama_cpp"), 8, "gguf-q8_0", "llama-cpp"),
    Arm(
        "transformers-int8",
        Serve("transformers", "int8"),
        8,
        "checkpoint",
        "transformers",
        is_main=False,
    ),
    Arm(
        "optimum-int8",
        Serve("optimum", "int8"),
        8,
        "optimum-int8",
        "optimum",
        is_main=False,
        most=8,  # it answers one request at a time
    ),
    Arm(
        "ipex_llm-int8",
        Serve("ipex_llm", "int8"),
        8,
        "checkpoint",
        "ipex-llm",
        is_main=False,
        most=8,
    ),
    Arm(AUTO, Serve(AUTO, for_each_concurrency=True), 8),
)
PEERS = (
    Arm("openvino-genai-int8", Worker("openvino_genai"), 8, "openvino-int8"),
    Arm("openvino-genai-int4", Worker("openvino_genai"), 4, "openvino-int4"),
    Arm("onnxruntime-genai-int8", Worker("onnxruntime_genai"), 8, "genai-int8", "convert"),
    Arm("onnxruntime-genai-int4", Worker("onnxruntime_genai"), 4, "genai-int4", "convert"),
    Arm("llama.cpp-q8_0", Worker("llama_cpp"), 8, "gguf-q8_0", "llama-cpp"),
    Arm("vllm-serve-int8", VLLMServe(), 8, "vllm-int8", "vllm"),
    Arm(
        "optimum-generate-int8",
        Worker("optimum"),
        8,
        "optimum-int8",
        "optimum",
        is_main=False,
    ),
    Arm(
        "ipex-llm-generate-int8",
        Worker("ipex_llm", ("--low-bit", "sym_int8")),
        8,
        "transformers4",
        "ipex-llm",
        is_main=False,
        most=8,
    ),
)
ARMS = {arm.name: arm for arm in (*OURS, *PEERS)}
GROUPS = {
    "all": tuple(ARMS),
    "main": tuple(arm.name for arm in ARMS.values() if arm.is_main),
    "ours": tuple(arm.name for arm in OURS),
    "peers": tuple(arm.name for arm in PEERS),
}


def chosen(names: Sequence[str]) -> list[Arm]:
    """The arms of these names and groups, each once, in the order of the table."""
    wanted = {arm for name in names for arm in GROUPS.get(name, (name,))}
    return [arm for name, arm in ARMS.items() if name in wanted]


def in_turn(arms: Sequence[Arm], number: int) -> list[Arm]:
    """The order of a round: another arm begins each, but `auto`, which goes by the others' figures,
    always comes last.
    """
    last = [arm for arm in arms if arm.name == AUTO]
    others = [arm for arm in arms if arm.name != AUTO]
    shift = number % len(others) if others else 0
    return [*others[shift:], *others[:shift], *last]

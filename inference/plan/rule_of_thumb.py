"""Plans against the rule of thumb `weights x 1.2 fits the memory`, on published combinations. Pure.

The rows are those of machines and models whose owners say that they serve them so; docs/plan.md
shows the table that `python -m inference.plan.rule_of_thumb` prints.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from inference.plan.devices import find_gpu
from inference.plan.fit import Fit, Unfit, on_gpus
from inference.plan.fleet import Gpus, Model
from inference.plan.model_facts import ModelFacts, of_known

FACTOR = 1.2
Q5_K_M = 5.69  # bits of a weight, on average over a file


@dataclass(frozen=True, slots=True)
class Published:
    """One replica that somebody runs: how many GPUs, which model, how long, how many at once."""

    product: str
    num_gpus: int
    source: str
    bits: float  # of a weight
    context: int
    at_once: int | None  # sequences, as published; None: not said
    note: str = ""


SEVEN_B = "meta-llama/Llama-2-7b-chat-hf"
THIRTEEN_B = "meta-llama/Llama-2-13b-chat-hf"
SEVENTY_B = "meta-llama/Llama-2-70b-chat-hf"
SEVENTY_B_3 = "meta-llama/Meta-Llama-3-70B-Instruct"

PUBLISHED = (
    Published("T4", 1, SEVEN_B, Q5_K_M, 1024, 2),
    Published("Orin 64GB", 1, SEVEN_B, Q5_K_M, 1024, 10),
    Published("Orin 64GB", 1, THIRTEEN_B, Q5_K_M, 1024, 6),
    Published("A100-SXM4-80GB", 1, SEVEN_B, Q5_K_M, 1024, 12),
    Published("A100-SXM4-80GB", 1, THIRTEEN_B, Q5_K_M, 1024, 6),
    Published("A6000", 1, SEVEN_B, Q5_K_M, 1024, 8, "one of four"),
    Published("A6000", 1, THIRTEEN_B, Q5_K_M, 1024, 4, "one of four"),
    Published("RTX 4090", 1, SEVEN_B, Q5_K_M, 1024, 4, "one of four"),
    Published("RTX 3090", 1, SEVEN_B, Q5_K_M, 1024, 4, "one of four"),
    Published("RTX 3090", 1, "mistralai/Mistral-7B-v0.1", 5.0, 4096, 24),
    Published("A100-SXM4-80GB", 8, SEVENTY_B_3, 16, 8192, None, "1 replica of 8"),
    Published("A100-SXM4-80GB", 4, SEVENTY_B_3, 16, 8192, None, "2 replicas of 4"),
    Published("A100-SXM4-80GB", 2, SEVENTY_B_3, 16, 8192, None, "4 replicas of 2: preferred"),
    Published("A100-SXM4-80GB", 4, SEVENTY_B, 16, 296, 256, "40 + 256 tokens"),
    Published("H100-PCIe-80GB", 4, SEVENTY_B, 16, 296, 256, "40 + 256 tokens"),
    Published("A40", 1, SEVEN_B, 16, 4096, None, "one of four"),
)
# Published by nobody, but where the rule errs: on either side.
EDGES = (
    Published("A10G", 1, "meta-llama/Llama-3.1-8B-Instruct", 16, 131072, None, "long context"),
    Published("V100-SXM2-32GB", 1, "Qwen/Qwen2.5-14B-Instruct", 16, 4096, None, "a tight fit"),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rule and the plan say of one row."""

    row: Published
    weight_bytes: int
    memory_bytes: int  # of all its GPUs
    fit: Fit | Unfit

    @property
    def thumb(self) -> bool:
        """Whether the rule says that it fits."""
        return self.weight_bytes * FACTOR <= self.memory_bytes

    @property
    def planned(self) -> bool:
        """Whether the plan does."""
        return isinstance(self.fit, Fit)


def verdicts() -> Iterator[Verdict]:
    """Of every row."""
    for row in (*PUBLISHED, *EDGES):
        facts = _quantized(row)
        gpu = find_gpu(Gpus(product=row.product), "published")
        model = Model(name="published", source=row.source, context=row.context)
        fit = on_gpus(model, facts, row.num_gpus, gpu.memory_bytes)
        yield Verdict(row, facts.shape.weight_bytes, gpu.memory_bytes * row.num_gpus, fit)


def _quantized(row: Published) -> ModelFacts:
    """The model's facts with weights of so many bits."""
    facts = of_known(row.source)
    assert facts is not None
    size = round(facts.parameters.total * row.bits / 8)
    shape = replace(facts.shape, weight_bytes=size, quantized=row.bits < 16)
    return replace(facts, shape=shape)


def markdown() -> str:
    """The table of docs/plan.md."""
    lines = [
        "| GPUs | model | bits | context | weights, GB | memory, GB | x 1.2 says | plan says | "
        "sequences that fit | at once, as published |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for each in verdicts():
        row = each.row
        note = f" ({row.note})" if row.note else ""
        fitting = each.fit.max_sequences if isinstance(each.fit, Fit) else 0
        lines.append(
            f"| {row.num_gpus} x {row.product}{note} | {row.source.partition('/')[2]} "
            f"| {row.bits:g} | {row.context} | {each.weight_bytes / 1e9:.1f} "
            f"| {each.memory_bytes / 1e9:.0f} | {_yes(each.thumb)} | {_yes(each.planned)} "
            f"| {fitting} | {row.at_once or '-'} |"
        )
    return "\n".join(lines)


def _yes(fits: bool) -> str:
    return "fits" if fits else "**no**"


if __name__ == "__main__":
    print(markdown())

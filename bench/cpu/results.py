"""What was measured: the one file that tables are made from, now or later."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

from pydantic import Field

from inference.bench.report.model import Environment, Model

SCHEMA_VERSION: Final = "anynode.bench.cpu/1"


class Run(Model):
    """One load on one arm."""

    arm: str
    round: int
    concurrency: int
    answer_tokens: int  # of each request
    prompt_tokens: int  # of all requests
    output_tokens: int
    duration_s: float  # first request sent to last answer complete
    ttft_ms: float  # median; where nothing is streamed, until the whole answer


class Ceiling(Model):
    """What the machine could do right before an arm was started."""

    arm: str
    round: int
    concurrency: list[int]  # for these loads
    bytes_per_s: float  # read from memory
    int8_ops_per_s: float  # multiplications and additions of a product of int8


class ModelSize(Model):
    """Weights that a token meets."""

    decode: int  # all but the embedding
    prefill: int  # without the head too, which only the last token of a prompt needs


class Results(Model):
    """One run of one shape."""

    schema_version: Literal["anynode.bench.cpu/1"] = SCHEMA_VERSION
    shape: str
    created_at: datetime
    command: list[str]
    environment: Environment
    num_threads: int
    rounds: int
    concurrency: list[int]
    arms: list[str]  # all that were asked for
    size: ModelSize
    runs: list[Run] = Field(default_factory=list)
    ceilings: list[Ceiling] = Field(default_factory=list)
    choices: list[str] = Field(default_factory=list)  # what `auto` took, and why
    missing: dict[str, str] = Field(default_factory=dict)  # arm: how to get what it needs
    lost: dict[str, str] = Field(
        default_factory=dict
    )  # arm: why it could not be measured to the end

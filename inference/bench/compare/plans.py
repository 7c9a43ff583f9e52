"""A comparison's config becomes the plans of its runs. Pure but for the files it reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inference.bench import probe
from inference.bench.arrivals import Poisson
from inference.bench.compare.load_config import DEFAULT_CONCURRENCY, LoadConfig
from inference.bench.compare.parity import ArmFacts
from inference.bench.compare.schedule import Turn
from inference.bench.plan import Load, RunPlan, Target
from inference.bench.prompts.dataset import DatasetPrompts
from inference.bench.prompts.lengths import parse_length
from inference.bench.prompts.synthetic import SyntheticPrompts
from inference.bench.prompts.tokenizer import BenchTokenizer
from inference.bench.record import Prompt, PromptSource
from inference.bench.report.model import ServerReport
from inference.bench.summary import Yardsticks


@dataclass(frozen=True, slots=True)
class LoadPoint:
    """One load, offered to every arm in every round."""

    num_requests: int
    concurrency: int | None = None
    request_rate: float | None = None

    @property
    def name(self) -> str:
        return self.load().name

    def load(self, *, seed: int = 0, warmup_requests: int = 0) -> Load:
        rate = self.request_rate
        return Load(
            concurrency=self.concurrency,
            arrivals=None if rate is None else Poisson(rate, seed),
            num_requests=self.num_requests,
            warmup_requests=warmup_requests,
        )


@dataclass(frozen=True, slots=True)
class Later:
    """The prompts of `source` from number `first` on.

    Rounds and loads ask different prompts, or a prefix cache would make every round easier than
    the one before; all arms of a round ask the same.
    """

    source: PromptSource
    first: int

    def prompt(self, number: int) -> Prompt:
        return self.source.prompt(self.first + number)


def load_points(load: LoadConfig) -> list[LoadPoint]:
    """In the order in which the config names them."""

    def point(clients: int | None, rate: float | None) -> LoadPoint:
        asked = load.num_requests
        num_requests = asked[rate or clients or 0] if isinstance(asked, dict) else asked
        return LoadPoint(num_requests, clients, rate)

    if load.request_rate is not None:
        return [point(None, rate) for rate in load.request_rate]
    return [point(clients, None) for clients in load.concurrency or [DEFAULT_CONCURRENCY]]


def sampling(load: LoadConfig) -> dict[str, Any]:
    """What every request carries besides its prompt; embeddings are not generated."""
    fields: dict[str, Any] = {"temperature": load.temperature, "top_p": load.top_p}
    if load.ignore_eos:
        fields["ignore_eos"] = True
    said = {name: each for name, each in fields.items() if each is not None}
    return {**(said if load.route != "embeddings" else {}), **load.extra_body}


def prompts(load: LoadConfig) -> PromptSource:
    """The dataset's, or synthetic ones of the lengths asked for."""
    tokenizer = BenchTokenizer(load.tokenizer) if load.tokenizer else None
    if load.dataset is not None:
        return DatasetPrompts(load.dataset, load.route, seed=load.seed, tokenizer=tokenizer)
    return SyntheticPrompts(
        prompt_tokens=parse_length(load.prompt_tokens, "prompt_tokens"),
        output_tokens=parse_length(load.output_tokens, "output_tokens"),
        route=load.route,
        tokenizer=tokenizer,
        seed=load.seed,
        prefix_tokens=load.prefix_tokens,
        num_prefixes=load.num_prefixes,
    )


def max_tokens(load: LoadConfig) -> int | None:
    """For prompts whose dataset does not say: with ignore_eos their answers would not end."""
    return None if load.dataset is None else parse_length(load.output_tokens, "").shortest


class Plans:
    """Makes the plan of each turn."""

    def __init__(self, load: LoadConfig, headers: Mapping[str, str]) -> None:
        """Raises ConfigError for a dataset or a tokenizer that cannot be read."""
        self.points = load_points(load)
        self.sampling = sampling(load)
        self._load = load
        self._headers = headers
        self._prompts = prompts(load)

    def plan(self, turn: Turn, url: str, model: str) -> RunPlan:
        load, point = self._load, self.points[turn.point]
        target = Target(
            urls=(url,),
            route=load.route,
            model=model,
            headers=self._headers,
            stream=load.stream and load.route != "embeddings",
            max_tokens=max_tokens(load),
            sampling=self.sampling,
            timeout_s=load.timeout_s,
            tokenizer=load.tokenizer,
        )
        return RunPlan(
            name=point.name,
            target=target,
            prompts=Later(self._prompts, self._asked_before(turn)),
            load=point.load(seed=load.seed + turn.round, warmup_requests=load.warmup_requests),
            yardsticks=Yardsticks(objectives_ms=dict(load.slo.items())),
            arm=turn.arm,
            round=turn.round,
            processes=load.processes,
        )

    def model(self, server: ServerReport) -> str:
        """Whom to ask for at this arm. Raises ConfigError if the arm does not have it."""
        asked = self._load.model
        return probe.model_id(server, asked[server.arm] if isinstance(asked, dict) else asked)

    def facts(self, server: ServerReport | None) -> ArmFacts:
        """For parity; None for an arm that was never reached."""
        if server is None:
            return ArmFacts()
        load = self._load
        sent = {"route": load.route, "stream": load.stream, **self.sampling}
        version = {name: said for name, said in server.version.items() if name != "resources"}
        return ArmFacts(model=self.model(server), sent=sent, version=version)

    def _asked_before(self, turn: Turn) -> int:
        """How many prompts earlier rounds and loads took; the same for every arm."""
        of_a_round = [point.num_requests for point in self.points]
        return turn.round * sum(of_a_round) + sum(of_a_round[: turn.point])

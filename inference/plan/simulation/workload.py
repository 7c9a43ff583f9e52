"""What is asked of a model in a simulation: a trace, or requests of independent callers. Pure."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from inference.bench.arrivals import Poisson
from inference.bench.prompts.lengths import Length
from inference.bench.trace import Trace
from inference.plan.simulation.server import Request


@dataclass(frozen=True, slots=True)
class Synthetic:
    """Requests that come by themselves (Poisson), as long as the distributions say."""

    request_rate: float
    num_requests: int
    prompt_tokens: Length
    output_tokens: Length
    seed: int = 0

    def requests(self, scale: float) -> list[Request]:
        """The same requests at every scale, only faster one after another."""
        times = Poisson(self.request_rate * scale, self.seed).offsets_s()
        return [
            Request(
                at_s,
                self.prompt_tokens.draw(f"{self.seed}/prompt/{number}"),
                self.output_tokens.draw(f"{self.seed}/output/{number}"),
            )
            for number, at_s in enumerate(itertools.islice(times, self.num_requests))
        ]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A trace, faster at larger scales."""

    trace: Trace

    def requests(self, scale: float) -> list[Request]:
        """Its requests, `scale` times as fast."""
        return [
            Request(entry.at_s / scale, entry.prompt_tokens, entry.output_tokens)
            for entry in self.trace.entries
        ]


Workload = Synthetic | Recorded

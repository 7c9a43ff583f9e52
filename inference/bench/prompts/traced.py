"""Prompts with the lengths of a trace."""

from __future__ import annotations

from inference.bench.plan import RouteName
from inference.bench.prompts.lengths import fixed
from inference.bench.prompts.synthetic import SyntheticPrompts
from inference.bench.prompts.tokenizer import BenchTokenizer
from inference.bench.record import Prompt
from inference.bench.trace import Trace


class TracedPrompts:
    """Request i is as long as the trace's i-th; what warms up begins the trace again."""

    def __init__(
        self, trace: Trace, route: RouteName, *, tokenizer: BenchTokenizer | None, seed: int
    ) -> None:
        self._trace = trace
        self._route = route
        self._tokenizer = tokenizer
        self._seed = seed

    def prompt(self, number: int) -> Prompt:
        entry = self._trace.entries[number % len(self._trace.entries)]
        made = SyntheticPrompts(
            fixed(entry.prompt_tokens),
            fixed(entry.output_tokens),
            self._route,
            self._tokenizer,
            self._seed,
        )
        return made.prompt(number)

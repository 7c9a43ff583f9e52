"""What an intent is: ways to ask for one kind of thing, the facts behind it, and the answer.

Every skill module declares intents and nothing else; `documents` draws questions from them. A
*cell* is one phrasing with one fact. Cells are either for training or held out, never both.
"""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

Fact = Mapping[str, str]

HELD_OUT_ONE_IN = 12
"""This share of the trained phrasings' cells is never trained."""

_CHOICE = re.compile(r"\[([^\]]*)\]")


def expand(*patterns: str) -> tuple[str, ...]:
    """Spell out every choice: `[What is|What's] it?` gives two phrasings. Choices do not nest."""
    phrasings: list[str] = []
    for pattern in patterns:
        parts = _CHOICE.split(pattern)  # text, choices, text, choices, ..., text
        options = [part.split("|") if i % 2 else [part] for i, part in enumerate(parts)]
        phrasings += (_tidy("".join(chosen)) for chosen in itertools.product(*options))
    return tuple(dict.fromkeys(phrasings))


def _tidy(phrasing: str) -> str:
    """An empty choice leaves a space too many."""
    return re.sub(r" +([?.])", r"\1", " ".join(phrasing.split()))


@dataclass(frozen=True)
class Question:
    """A question with its right answer; an answer is right when it contains `expect`."""

    category: str
    text: str
    answer: str
    expect: str


@dataclass(frozen=True)
class Intent:
    """One kind of question. `{slots}` in phrasings and answers are filled from a fact."""

    category: str
    weight: float  # its share of the questions, relative to all intents
    asked: tuple[str, ...]  # phrasings seen in training
    asked_new: tuple[str, ...] = ()  # phrasings kept for evaluation
    facts: tuple[Fact, ...] = ({},)
    facts_new: tuple[Fact, ...] = ()  # where the things themselves must be new: invented names
    answer: str = "{answer}"
    expect: str = ""  # empty: this intent has no single right answer and is not evaluated
    follow_ups: tuple[str, ...] = ()  # asks the same of another fact, right after a first question

    def question(self, phrasing: str, fact: Fact) -> Question:
        """Fill a phrasing with a fact."""
        return Question(
            self.category,
            phrasing.format_map(fact),
            self.answer.format_map(fact),
            self.expect.format_map(fact),
        )

    def holds_out(self, phrasing: str, fact: Fact) -> bool:
        """Whether this cell is kept from training. The same for ever: no seed is involved.

        A phrasing without slots asks the same whatever the fact, so it cannot be held out this
        way; where whole facts are kept back, cells need not be.
        """
        if self.facts_new or "{" not in phrasing:
            return False
        key = "|".join([phrasing, *(f"{name}={fact[name]}" for name in sorted(fact))])
        return zlib.crc32(key.encode()) % HELD_OUT_ONE_IN == 0

    def draw(self, rng: Random, *, follow_up: bool = False) -> Question:
        """One question for training."""
        while True:
            phrasing = rng.choice(self.follow_ups if follow_up else self.asked)
            fact = rng.choice(self.facts)
            if follow_up or not self.holds_out(phrasing, fact):
                return self.question(phrasing, fact)

    def draw_new(self, rng: Random, *, new_phrasing: bool) -> Question | None:
        """One held-out question: a new phrasing, or a trained one with a fact it never met.

        None if this intent holds nothing of that kind back.
        """
        facts = self.facts_new or self.facts
        if new_phrasing:
            choices = self.asked_new
            return self.question(rng.choice(choices), rng.choice(facts)) if choices else None
        if self.facts_new:
            return self.question(rng.choice(self.asked), rng.choice(self.facts_new))
        return self._draw_held_out_cell(rng)

    def _draw_held_out_cell(self, rng: Random) -> Question | None:
        phrasings = [phrasing for phrasing in self.asked if "{" in phrasing]
        while phrasings:
            phrasing, fact = rng.choice(phrasings), rng.choice(self.facts)
            if self.holds_out(phrasing, fact):
                return self.question(phrasing, fact)
        return None

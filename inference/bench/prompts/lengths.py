"""How long prompts and answers are: a number, or a distribution in a few characters. Pure."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from serving.errors import ConfigError

FORMS = "128, 64:256, normal:128,32 or lognormal:128,0.5"
MOST_TOKENS = 10_000_000


@dataclass(frozen=True, slots=True)
class Length:
    """A distribution of lengths, all of at least 1.

    `first` and `second` are: lowest and highest (uniform), mean and standard deviation (normal),
    median and the sigma of the logarithm (lognormal).
    """

    kind: Literal["uniform", "normal", "lognormal"]
    first: float
    second: float

    def draw(self, key: str) -> int:
        """The length that belongs to `key`, whoever asks."""
        chance = random.Random(key)
        match self.kind:
            case "uniform":
                return chance.randint(int(self.first), int(self.second))
            case "normal":
                drawn = chance.gauss(self.first, self.second)
            case "lognormal":
                drawn = chance.lognormvariate(math.log(self.first), self.second)
        return max(1, round(min(drawn, MOST_TOKENS)))

    @property
    def shortest(self) -> int:
        """What every drawn length has at least."""
        return int(self.first) if self.kind == "uniform" else 1


def fixed(num_tokens: int) -> Length:
    """Always the same."""
    return Length("uniform", num_tokens, num_tokens)


def parse_length(text: str, option: str) -> Length:
    """Raises ConfigError naming `option` and the forms there are."""
    name, colon, rest = text.partition(":")
    try:
        if colon and name in _SHAPES:
            return _SHAPES[name](*map(float, rest.split(",")))
        return _uniform(int(name), int(rest) if colon else int(name))
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigError(f"{option}: {text!r} is no length; give {FORMS}") from error


def _uniform(lowest: float, highest: float) -> Length:
    if not 1 <= lowest <= highest <= MOST_TOKENS:
        raise ValueError
    return Length("uniform", lowest, highest)


def _normal(mean: float, std: float) -> Length:
    if not (1 <= mean <= MOST_TOKENS and 0 <= std <= MOST_TOKENS):
        raise ValueError
    return Length("normal", mean, std)


def _lognormal(median: float, sigma: float) -> Length:
    if not (1 <= median <= MOST_TOKENS and 0 <= sigma <= 10):
        raise ValueError
    return Length("lognormal", median, sigma)


_SHAPES: dict[str, Callable[..., Length]] = {"normal": _normal, "lognormal": _lognormal}

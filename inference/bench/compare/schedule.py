"""Who is asked when. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

WARMUP = 0  # the number of every round that is thrown away; measured ones count from 1


@dataclass(frozen=True, slots=True)
class Turn:
    """One arm under one load in one round."""

    round: int
    point: int  # which load
    arm: str


def turns(
    arms: Sequence[str], *, points: int, rounds: int, warmup_rounds: int, exclusive: bool = False
) -> Iterator[Turn]:
    """Warm-up rounds first; the order of the arms rotates from round to round.

    Within a round every load runs all arms back to back, so that whatever drifts on the machine
    meets them alike. With `exclusive` an arm runs all loads of a round in one go instead, because
    each change of arms means a restart.
    """
    for number in range(1 - warmup_rounds, rounds + 1):
        shift = number % len(arms)
        order = [*arms[shift:], *arms[:shift]]
        if exclusive:
            pairs = [(point, arm) for arm in order for point in range(points)]
        else:
            pairs = [(point, arm) for point in range(points) for arm in order]
        yield from (Turn(max(number, WARMUP), point, arm) for point, arm in pairs)

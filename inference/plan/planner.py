"""Places models on a fleet. Pure: the same fleet and facts give the same plan, to the byte.

Models are placed in the file's order, each the first way that serves all that is expected of it:
GPUs before CPUs, narrow replicas before wide ones, so that there are more of them. What does not
serve all is placed the way that serves most.

A plan is worse than another if, at the first model that is served otherwise, it serves less: fewer
of the replicas asked for or, at equal replicas, fewer of the sequences expected. Placing one model
after another could be led astray by a node too many. So the plans for the first 1, 2, … entries of
`nodes` are looked at too and the best is taken: an entry more at the end never makes a plan worse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from inference.plan.fleet import Fleet, Model
from inference.plan.model_facts import ModelFacts
from inference.plan.rooms import Rooms, rooms_of
from inference.plan.trial import Progress, Trial, attempt
from inference.plan.ways import ways

Facts = Mapping[str, ModelFacts]  # by a model's source

MOST_ENTRIES = 16  # of `nodes`, up to which plans for the first of them are looked at
NOTHING = Progress(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Choice:
    """How one model was placed, and what else was tried."""

    model: Model
    trial: Trial | None  # None: no replica found a place
    tried: tuple[Trial, ...] = field(default=(), repr=False)  # before it, and not enough

    @property
    def progress(self) -> Progress:
        """How much of what was asked for is there."""
        return NOTHING if self.trial is None else self.trial.progress


@dataclass(frozen=True, slots=True)
class Solution:
    """Where everything goes."""

    choices: tuple[Choice, ...]  # one for each model, in the file's order
    rooms: Rooms  # of the whole fleet, as replicas leave them

    @property
    def score(self) -> tuple[Progress, ...]:
        """The higher, compared from the first model on, the better."""
        return tuple(choice.progress for choice in self.choices)


def solve(fleet: Fleet, facts: Facts) -> Solution:
    """The best of the plans for the first entries of `nodes`; of equal ones that for the most."""
    rooms = rooms_of(fleet)
    best = place_all(fleet.models, facts, rooms)
    assert best is not None  # there is nothing to beat
    if len(fleet.nodes) > MOST_ENTRIES or _cannot_be_beaten(best, facts, rooms):
        return best
    for number in range(len(fleet.nodes) - 1, 0, -1):
        machines = sum(node.count for node in fleet.nodes[:number])
        better = place_all(fleet.models, facts, rooms.first(machines), beat=best.score)
        if better is not None:
            others = (rooms[each] for each in range(machines, len(rooms)))
            best = Solution(better.choices, Rooms([*better.rooms, *others]))
    return best


def place_all(
    models: Sequence[Model],
    facts: Facts,
    rooms: Rooms,
    *,
    beat: tuple[Progress, ...] | None = None,
) -> Solution | None:
    """Each model after those before it; None as soon as it cannot be better than `beat`."""
    now, choices, equal = rooms, list[Choice](), True
    for number, model in enumerate(models):
        choice = choose(model, facts[model.source], now)
        choices.append(choice)
        if choice.trial is not None:
            now = now.after(choice.trial.rooms)
        if beat is not None and equal:
            if choice.progress < beat[number]:
                return None
            equal = choice.progress == beat[number]
    if beat is not None and equal:
        return None
    return Solution(tuple(choices), now)


def choose(model: Model, facts: ModelFacts, rooms: Rooms) -> Choice:
    """The first way that serves all, else the first of those that serve most."""
    best: Trial | None = None
    tried: list[Trial] = []
    for way in ways(model, facts, rooms):
        trial = attempt(model, facts, way, rooms)
        if trial.progress.complete:
            return Choice(model, trial, tuple(tried))
        tried.append(trial)
        if trial.spots and (best is None or trial.progress > best.progress):
            best = trial
    return Choice(model, best, tuple(tried))


def _cannot_be_beaten(solution: Solution, facts: Facts, rooms: Rooms) -> bool:
    """Whether every model has all it asks for, or finds no place in the whole fleet by itself."""
    return all(
        choice.progress.complete
        or (
            choice.trial is None
            and choose(choice.model, facts[choice.model.source], rooms).trial is None
        )
        for choice in solution.choices
    )

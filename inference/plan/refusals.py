"""Why a model found no place, or too little of it, and which changes are enough. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from inference.plan.changes import apply_change, proposals
from inference.plan.fit import Unfit, on_cpus, on_gpus, running, words
from inference.plan.fleet import GPU_KINDS, DeviceKind, Fleet, Model
from inference.plan.model_facts import ModelFacts
from inference.plan.plan import Change, Refusal
from inference.plan.planner import Choice, Facts, Solution, place_all, solve
from inference.plan.rooms import Room, Rooms, carries, kind_of_cpus, kind_of_gpus, rooms_of
from inference.plan.ways import Way, kinds_for, ways, widths

MOST_CHANGES = 3  # for each
MOST_REMEDIED = 2


def refusals(fleet: Fleet, facts: Facts, solution: Solution) -> Iterator[Refusal]:
    """One for each model that is not served as asked; the first few come with remedies.

    Whoever changes the fleet for those has another plan before the others' turn.
    """
    empty = rooms_of(fleet)
    wanting = [at for at, choice in enumerate(solution.choices) if not choice.progress.complete]
    for turn, number in enumerate(wanting):
        choice = solution.choices[number]
        remedies = _enough(fleet, facts, solution, number) if turn < MOST_REMEDIED else ()
        yield Refusal(
            model=choice.model.name,
            missing_replicas=_missing(choice),
            reason=reason(choice, facts[choice.model.source], empty, solution.rooms),
            changes=tuple(remedies),
        )


def _missing(choice: Choice) -> int:
    placed = 0 if choice.trial is None else len(choice.trial.spots)
    asked = choice.model.replicas
    return max(0, 1 - placed) if asked == "auto" else asked - placed


def _enough(fleet: Fleet, facts: Facts, solution: Solution, number: int) -> Iterator[Change]:
    """Changes after which the model is served and no other is served less; one for each subject."""
    choice, subjects = solution.choices[number], set[str]()
    for change in proposals(fleet, choice, facts[choice.model.source]):
        subject = change.value["name"] if change.field == "nodes" else change.field
        if subject not in subjects and _helps(fleet, facts, solution, number, change):
            subjects.add(subject)
            yield change
            if len(subjects) == MOST_CHANGES:
                return


def _helps(fleet: Fleet, facts: Facts, before: Solution, number: int, change: Change) -> bool:
    """Tried the quick way first, then as the plan of the changed file would be made."""
    changed = apply_change(fleet, change)
    quick = place_all(changed.models, facts, rooms_of(changed))
    assert quick is not None  # there is nothing to beat
    return _is_enough(quick, before, number) and _is_enough(solve(changed, facts), before, number)


def _is_enough(after: Solution, before: Solution, number: int) -> bool:
    return after.score[number].complete and all(
        now >= then for now, then in zip(after.score, before.score, strict=True)
    )


def reason(choice: Choice, facts: ModelFacts, empty: Rooms, left: Rooms) -> str:
    """In one sentence, with the arithmetic."""
    model, trial = choice.model, choice.trial
    if trial is None:
        possible = list(ways(model, facts, empty))
        return _never(model, facts, empty, possible) or _taken(model, possible, left)
    placed = len(trial.spots)
    if model.replicas != "auto" and placed < model.replicas:
        return (
            f"{placed} of {model.replicas} replicas found a place, each of {_size(trial.way)}; "
            f"left are {_left(left, trial.way.kind)}"
        )
    held = sum(spot.fit.expected_sequences for spot in trial.spots)
    why = "no more fit" if model.replicas == "auto" else "no more are asked for"
    return (
        f"{placed} replica{'s' * (placed > 1)} of {_size(trial.way)} hold {held} sequences of a "
        f"usual length, {model.concurrency} are expected, and {why}; left are "
        f"{_left(left, trial.way.kind)}"
    )


def _size(way: Way) -> str:
    if way.kind not in GPU_KINDS:
        return f"{way.num_cpus} cores of one socket"
    where = "" if way.across_nodes else " of one node"
    return f"{way.width} GPU{'s' * (way.width > 1)}{where}, {way.num_cpus} cores"


def _never(model: Model, facts: ModelFacts, rooms: Rooms, possible: list[Way]) -> str | None:
    """Why no replica would fit even if the fleet were empty; None: one would."""
    said = []
    for kind in kinds_for(model):
        how = running(model, facts, kind)
        if isinstance(how, Unfit):
            said.append(f"on {words(kind)}: {how.reason}")
            continue
        why = _nowhere(model, facts, kind, rooms, possible)
        if why is None:
            return None
        said.append(f"on {words(kind)}: {why}")
    return "; ".join(said)


def _nowhere(
    model: Model, facts: ModelFacts, kind: DeviceKind, rooms: Rooms, possible: list[Way]
) -> str | None:
    sizes = [
        size for room in rooms if carries(room.node, model.labels) for size in _sizes(room, kind)
    ]
    if not sizes:
        labels = f" with labels {model.labels}" if model.labels else ""
        return f"the fleet has none{labels}"
    of_kind = [way for way in possible if way.kind == kind]
    if not of_kind:
        asked = " or ".join(map(str, widths(model, facts)))
        most = max(gpus.count for room in rooms for gpus in room.node.gpus)
        return f"a replica needs {asked} GPUs of one node, and the most that one has is {most}"
    tried = [
        on_gpus(model, facts, way.width, max(sizes))
        if kind in GPU_KINDS
        else on_cpus(model, facts, kind, max(sizes))
        for way in of_kind
    ]
    unfit = [each.reason for each in tried if isinstance(each, Unfit)]
    return unfit[-1] if len(unfit) == len(tried) else None


def _sizes(room: Room, kind: DeviceKind) -> list[int]:
    """Bytes of a room's devices of a kind."""
    if kind in GPU_KINDS:
        return [gpu.memory_bytes for gpu in room.gpus if kind_of_gpus(gpu) == kind]
    return [room.node.memory // room.node.sockets] if kind_of_cpus(room.node) == kind else []


def _taken(model: Model, possible: list[Way], left: Rooms) -> str:
    kinds = list(dict.fromkeys(way.kind for way in possible))
    there = "; ".join(_left(left, kind) for kind in kinds)
    return (
        f"models named before it, or its own size, leave no place for {_size(possible[0])} or any "
        f"wider replica; left are {there}"
    )


def _left(rooms: Rooms, kind: DeviceKind) -> str:
    """Free devices of a kind, node by node."""
    found = []
    for room in rooms:
        if kind in GPU_KINDS:
            pairs = zip(room.gpus, room.free_gpus, strict=True)
            number = sum(len(free) for gpu, free in pairs if kind_of_gpus(gpu) == kind)
        else:
            number = sum(room.cores) if kind_of_cpus(room.node) == kind else 0
        if number:
            found.append(f"{room.name} {number}")
    what = "GPUs" if kind in GPU_KINDS else "cores"
    shown = ", ".join(found[:8]) + (f" and {len(found) - 8} nodes more" if len(found) > 8 else "")
    return f"{what}: {shown}" if found else f"no {what}"

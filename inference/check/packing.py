"""Whether replicas find room on nodes together: a pure decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from inference.check.document import Path

EPSILON = 1e-6
SEARCHED = 200  # needs; more are placed tightest first only
TRIES = 20_000  # steps of the exact search; after them the best that was found counts


@dataclass(frozen=True, slots=True)
class Need:
    """What one replica, or one part of it, takes of one node."""

    what: str  # the application's name
    path: Path  # of what asks for it
    amounts: Mapping[str, float] = field(default_factory=dict)
    nodes: frozenset[int] = frozenset()  # which may hold it, as places in the list of nodes

    @property
    def size(self) -> tuple[float, ...]:
        """By which the hardest to place come first."""
        return (-len(self.nodes), self.amounts.get("GPU", 0), self.amounts.get("CPU", 0))


Room = dict[str, float]


def place(needs: Sequence[Need], nodes: Sequence[Mapping[str, float]]) -> list[int | None]:
    """For every need the node that holds it; None where none is left.

    Tight nodes first; where somebody is left over, all other ways are tried, so that None means
    there is no way (or none within `TRIES` steps).
    """
    order = sorted(range(len(needs)), key=lambda each: needs[each].size, reverse=True)
    placed = _tightest(needs, order, [dict(node) for node in nodes])
    if None in placed and len(needs) <= SEARCHED:
        search = _Search(needs, order, [dict(node) for node in nodes])
        if search.run(0):
            return search.placed
    return placed


def holds(room: Mapping[str, float], amounts: Mapping[str, float]) -> bool:
    """Whether a node has so much."""
    return all(room.get(name, 0) + EPSILON >= amount for name, amount in amounts.items() if amount)


def _tightest(needs: Sequence[Need], order: Sequence[int], rooms: list[Room]) -> list[int | None]:
    placed: list[int | None] = [None] * len(needs)
    for index in order:
        need = needs[index]
        fitting = [each for each in sorted(need.nodes) if holds(rooms[each], need.amounts)]
        if fitting:
            best = min(fitting, key=lambda each: _left(rooms[each], need.amounts))
            _take(rooms[best], need.amounts, 1)
            placed[index] = best
    return placed


@dataclass
class _Search:
    """Tries every node for every need, equal nodes once."""

    needs: Sequence[Need]
    order: Sequence[int]
    rooms: list[Room]
    tries: int = 0
    placed: list[int | None] = field(init=False)
    kinds: list[frozenset[int]] = field(init=False)  # of each node: the needs it may hold

    def __post_init__(self) -> None:
        self.placed = [None] * len(self.needs)
        self.kinds = [
            frozenset(index for index, need in enumerate(self.needs) if node in need.nodes)
            for node in range(len(self.rooms))
        ]

    def run(self, depth: int) -> bool:
        """Whether everything from `depth` on found room."""
        if depth == len(self.order):
            return True
        need, seen = (
            self.needs[self.order[depth]],
            set[tuple[frozenset[int], tuple[tuple[str, float], ...]]](),
        )
        for node in sorted(need.nodes, key=lambda each: _left(self.rooms[each], need.amounts)):
            self.tries += 1
            if self.tries > TRIES:
                return False
            room = self.rooms[node]
            state = (self.kinds[node], tuple(sorted(room.items())))
            if state in seen or not holds(room, need.amounts):
                continue
            seen.add(state)
            _take(room, need.amounts, 1)
            self.placed[self.order[depth]] = node
            if self.run(depth + 1):
                return True
            _take(room, need.amounts, -1)
        self.placed[self.order[depth]] = None
        return False


def _left(room: Mapping[str, float], amounts: Mapping[str, float]) -> tuple[float, ...]:
    """How much room would be left: least is tightest, and GPUs are dearest."""
    return tuple(room.get(name, 0) - amounts.get(name, 0) for name in ("GPU", "CPU", "memory"))


def _take(room: Room, amounts: Mapping[str, float], sign: int) -> None:
    for name, amount in amounts.items():
        room[name] = room.get(name, 0) - sign * amount

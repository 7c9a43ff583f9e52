"""Trying one way to run a model: which replicas it places where, and what that would leave. Pure.

Trying changes nothing: it gives copies of the rooms as they would be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from inference.plan.devices import Gpu
from inference.plan.fit import HOST_BYTES_PER_PROCESS, Fit, Unfit, on_cpus, on_gpus
from inference.plan.fleet import GPU_KINDS, Model
from inference.plan.model_facts import ModelFacts
from inference.plan.rooms import (
    Room,
    Rooms,
    carries,
    cores_of_sockets,
    kind_of_cpus,
    kind_of_gpus,
)
from inference.plan.ways import Way


@dataclass(frozen=True, slots=True)
class Spot:
    """One replica's place: each device as (room's number, index on its node)."""

    devices: tuple[tuple[int, int], ...]
    entry: int  # of the node's GPUs; 0 on CPUs
    fit: Fit


@dataclass(frozen=True, slots=True, order=True)
class Progress:
    """How much of what was asked for is there; 1 and 1: all of it."""

    replicas: float
    sequences: float

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return self.replicas >= 1 and self.sequences >= 1


@dataclass(frozen=True, slots=True)
class Trial:
    """What a way gives a model."""

    way: Way
    spots: tuple[Spot, ...]
    progress: Progress
    rooms: Mapping[int, Room] = field(repr=False)  # those that changed, by number


def attempt(model: Model, facts: ModelFacts, way: Way, rooms: Rooms) -> Trial:
    """Place replicas until enough are there or no more fit."""
    trying = _Trying(model, facts, way, rooms)
    while not trying.enough() and trying.place_one():
        pass
    return Trial(way, tuple(trying.spots), trying.progress(), trying.changed)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where replicas might be: cores or GPUs of nodes that are alike."""

    numbers: list[int]  # of the rooms, those that are filled first at the end
    entry: int  # of the node's GPUs
    fit: Fit
    rank: tuple[int, ...]  # the lowest is taken first


class _Trying:
    """Replicas of one model being placed one way."""

    def __init__(self, model: Model, facts: ModelFacts, way: Way, rooms: Rooms) -> None:
        self._model, self._facts, self._way, self._rooms = model, facts, way, rooms
        self.spots: list[Spot] = []
        self.changed: dict[int, Room] = {}
        self._sequences = 0
        self._places = sorted(self._possible(), key=lambda place: place.rank, reverse=True)

    def progress(self) -> Progress:
        asked, placed = self._model.replicas, len(self.spots)
        share = float(placed > 0) if asked == "auto" else placed / asked
        return Progress(share, min(1.0, self._sequences / self._model.concurrency))

    def enough(self) -> bool:
        asked = self._model.replicas
        return self.progress().complete if asked == "auto" else len(self.spots) == asked

    def place_one(self) -> bool:
        """On the best place that has room; one that is full is not asked again."""
        while self._places:
            place = self._places[-1]
            spot = self._take(place, place.numbers[-1])
            if spot is not None:
                self.spots.append(spot)
                self._sequences += spot.fit.expected_sequences
                return True
            place.numbers.pop()
            if not place.numbers:
                self._places.pop()
        return False

    def _possible(self) -> Iterator[_Place]:
        """The smallest devices first, or the largest, and of equal ones the fullest."""
        fits: dict[object, Fit | Unfit] = {}
        for numbers in self._rooms.groups:
            room = self._rooms[numbers[0]]
            if not carries(room.node, self._model.labels):
                continue
            for entry, size, rank in self._sized(room):
                fit = fits.get(size)
                if fit is None:
                    fit = fits[size] = self._fit(size)
                if isinstance(fit, Fit):
                    yield _Place([*reversed(numbers)], entry, fit, (*rank, room.number))

    def _sized(self, room: Room) -> Iterator[tuple[int, int, tuple[int, int]]]:
        """(entry, bytes, rank) of a room's devices that a replica could be on."""
        way, node = self._way, room.node
        if way.kind in GPU_KINDS:
            for entry, (gpu, free) in enumerate(zip(room.gpus, room.free_gpus, strict=True)):
                if kind_of_gpus(gpu) == way.kind and len(free) >= way.gpus_of_a_node:
                    size = gpu.memory_bytes
                    yield entry, size, (-size if way.roomy else size, len(free))
        elif kind_of_cpus(node) == way.kind and sum(room.cores) >= way.num_cpus:
            socket = max(cores_of_sockets(node))
            if way.num_cpus <= socket or self._model.num_cpus is not None:  # wider ones are asked
                size = node.memory * way.num_cpus // node.usable_cores
                yield 0, size, (socket, sum(room.cores))

    def _fit(self, size: int) -> Fit | Unfit:
        if self._way.kind in GPU_KINDS:
            return on_gpus(self._model, self._facts, self._way.width, size)
        return on_cpus(self._model, self._facts, self._way.kind, size)

    def _take(self, place: _Place, number: int) -> Spot | None:
        if self._way.across_nodes:
            return self._take_across(place, number)
        way, room = self._way, self._room(number)
        if way.kind in GPU_KINDS:
            found = room.take_gpus(place.entry, way.width, way.num_cpus, way.host_bytes)
        else:
            found = room.take_cores(way.num_cpus, place.fit.bytes_per_device.total)
        if found is None:
            return None
        return Spot(tuple((number, index) for index in found), place.entry, place.fit)

    def _room(self, number: int) -> Room:
        if number not in self.changed:
            self.changed[number] = self._rooms[number].copy()
        return self.changed[number]

    def _take_across(self, place: _Place, number: int) -> Spot | None:
        """GPUs of one product from as few nodes as hold so many, those with most free first."""
        room = self._rooms[number]
        product, gpu = room.node.gpus[place.entry].product, room.gpus[place.entry]
        tried, first = dict(self.changed), place.entry
        devices: list[tuple[int, int]] = []
        for free, holder, entry in self._holders(product, gpu):
            wanted = min(free, self._way.width - len(devices))
            room = tried.get(holder, self._rooms[holder]).copy()
            # The replica's own process is with its first GPU.
            own = 0 if devices else max(1, self._way.num_cpus - self._way.width)
            memory = HOST_BYTES_PER_PROCESS * (wanted + (not devices))
            taken = room.take_gpus(entry, wanted, wanted + own, memory)
            if taken is not None:
                first = first if devices else entry
                tried[holder] = room
                devices += [(holder, index) for index in taken]
            if len(devices) == self._way.width:
                self.changed.update(tried)
                return Spot(tuple(devices), first, place.fit)
        return None

    def _holders(self, product: str, gpu: Gpu) -> list[tuple[int, int, int]]:
        """(free, room, entry) where there are such GPUs, the most first."""
        found = []
        for base in self._rooms:
            room = self.changed.get(base.number, base)
            if not carries(room.node, self._model.labels):
                continue
            for entry, gpus in enumerate(room.node.gpus):
                free = len(room.free_gpus[entry])
                if free and (gpus.product, room.gpus[entry]) == (product, gpu):
                    found.append((free, room.number, entry))
        return sorted(found, key=lambda each: (-each[0], each[1]))

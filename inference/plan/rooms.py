"""What is free on each machine while a plan is made, and taking it: cores, memory, GPUs.

Cores and memory are counted for each socket, so that a replica on CPUs stays on one where it can.
A fleet has many machines but few kinds of them: rooms that are alike are looked at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from inference.plan.devices import Gpu, find_gpu
from inference.plan.fleet import DeviceKind, Fleet, Node
from inference.plan.plan import NodeFree


@dataclass(slots=True)
class Room:
    """One machine's free devices; `take_…` change it, `copy` first to try."""

    name: str
    number: int  # in the fleet's order
    kind: int  # machines of one kind differ in name only
    node: Node
    gpus: tuple[Gpu, ...]  # one for each entry of node.gpus
    free_gpus: list[list[int]]  # for each entry, numbers among all of the node's
    cores: list[int]  # for each socket
    memory: list[int]

    def copy(self) -> Room:
        """The same, to take from."""
        free = [list(each) for each in self.free_gpus]
        return Room(
            self.name,
            self.number,
            self.kind,
            self.node,
            self.gpus,
            free,
            [*self.cores],
            [*self.memory],
        )

    @property
    def state(self) -> tuple[int, ...]:
        """Equal for rooms that are alike in all that counts."""
        return (self.kind, *map(len, self.free_gpus), *self.cores, *self.memory)

    def take_gpus(self, entry: int, width: int, cores: int, memory: int) -> list[int] | None:
        """The first free ones of an entry, with cores and memory of the host; None: too few."""
        if len(self.free_gpus[entry]) < width or not self._take_host(cores, memory):
            return None
        taken, self.free_gpus[entry] = self.free_gpus[entry][:width], self.free_gpus[entry][width:]
        return taken

    def _take_host(self, cores: int, memory: int) -> bool:
        """From whichever sockets have most left: these processes are bound to none."""
        if sum(self.cores) < cores or sum(self.memory) < memory:
            return False
        _spread(self.cores, cores)
        _spread(self.memory, memory)
        return True

    def take_cores(self, cores: int, memory: int) -> list[int] | None:
        """On the emptiest socket, or over all where none ever has so many; None: too few."""
        if cores > max(cores_of_sockets(self.node)):
            return list(range(len(self.cores))) if self._take_host(cores, memory) else None
        for socket in sorted(range(len(self.cores)), key=lambda each: (-self.cores[each], each)):
            if self.cores[socket] >= cores and self.memory[socket] >= memory:
                self.cores[socket] -= cores
                self.memory[socket] -= memory
                return [socket]
        return None

    def left(self) -> NodeFree:
        """What nobody took."""
        products = [
            gpus.product
            for gpus, free in zip(self.node.gpus, self.free_gpus, strict=True)
            for _ in free
        ]
        return NodeFree(self.name, sum(self.cores), sum(self.memory), tuple(products))


class Rooms(Sequence[Room]):
    """All machines' rooms, by number, and in groups that are alike. Never changed: see `after`."""

    def __init__(self, rooms: Iterable[Room]) -> None:
        self._rooms = tuple(rooms)
        groups: dict[tuple[int, ...], list[int]] = {}
        for room in self._rooms:
            groups.setdefault(room.state, []).append(room.number)
        self.groups = tuple(map(tuple, groups.values()))  # of numbers, each in the fleet's order

    def __getitem__(self, number: int) -> Room:  # type: ignore[override]
        return self._rooms[number]

    def __len__(self) -> int:
        return len(self._rooms)

    def after(self, changed: Mapping[int, Room]) -> Rooms:
        """The same with some rooms as they have become."""
        return Rooms(changed.get(room.number, room) for room in self._rooms)

    def first(self, number: int) -> Rooms:
        """The first so many."""
        return Rooms(self._rooms[:number])


def _spread(free: list[int], amount: int) -> None:
    while amount:
        most = max(range(len(free)), key=lambda each: free[each])
        taken = min(amount, free[most])
        free[most] -= taken
        amount -= taken


def cores_of_sockets(node: Node) -> list[int]:
    """How many cores of each socket replicas may have, as even as they can be."""
    each, more = divmod(node.usable_cores, node.sockets)
    return [each + (socket < more) for socket in range(node.sockets)]


def rooms_of(fleet: Fleet) -> Rooms:
    """All machines, empty, in the fleet's order; raises ConfigError for an unknown GPU."""
    found: list[Room] = []
    kinds: dict[str, int] = {}
    for node in fleet.nodes:
        kind = kinds.setdefault(alike(node), len(kinds))
        gpus = tuple(find_gpu(each, node.name) for each in node.gpus)
        memory = [node.memory // node.sockets] * node.sockets
        for name in node.names():
            free, cores = _gpu_numbers(node), cores_of_sockets(node)
            found.append(Room(name, len(found), kind, node, gpus, free, cores, [*memory]))
    return Rooms(found)


def alike(node: Node) -> str:
    """Equal for nodes that differ in nothing that a plan asks of them."""
    same = {"name": "", "count": 1, "head": False, "reserved_cores": node.cores - node.usable_cores}
    return node.model_copy(update=same).model_dump_json()


def _gpu_numbers(node: Node) -> list[list[int]]:
    found, first = [], 0
    for each in node.gpus:
        found.append(list(range(first, first + each.count)))
        first += each.count
    return found


def kind_of_cpus(node: Node) -> DeviceKind:
    """What replicas on its CPUs are counted as."""
    return "intel_cpu" if node.vendor == "INTEL" else "amd_cpu"


def kind_of_gpus(gpu: Gpu) -> DeviceKind:
    """The same of GPUs."""
    return "nvidia_gpu" if gpu.vendor == "NVIDIA" else "amd_gpu"


def carries(node: Node, labels: Mapping[str, str]) -> bool:
    """Whether the node has all of these labels."""
    return labels.items() <= node.labels.items()

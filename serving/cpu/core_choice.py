"""Which CPUs a replica gets, as a pure decision."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from serving.cpu.topology import Cpu

Region = Sequence[Cpu]  # free CPUs that are near each other


@dataclass(frozen=True, slots=True)
class Place:
    """What is given to one replica: CPUs for each of its threads, the best ones first."""

    groups: tuple[tuple[Cpu, ...], ...]
    shares_cores: bool = False  # some are hyper-threads of cores that others compute on

    @property
    def cpus(self) -> tuple[Cpu, ...]:
        """All of them."""
        return tuple(cpu for group in self.groups for cpu in group)


Choose = Callable[[Collection[int]], Place | None]
"""Chooses among the CPUs that are not taken, or says that too few are left."""


def choose_cpus(cpus: Sequence[Cpu], taken: Collection[int], num: int) -> Place | None:
    """`num` of `cpus` that are not taken, one for each thread; None where fewer are left.

    All of one NUMA node where one has enough, else of one socket where one has. Cores that nobody
    else computes on come first, fast ones before slow ones, with one CPU each; then hyper-threads
    of the same cores; hyper-threads of cores that others compute on come last.
    """
    busy = cores(cpu for cpu in cpus if cpu.number in taken)
    free = [cpu for cpu in cpus if cpu.number not in taken]
    for regions in (by_node(free), by_socket(free), [by_node_size(free)]):
        fitting = [region for region in regions if len(region) >= num]
        if fitting:
            fitting.sort(key=len)  # of equal choices the one that leaves the larger hole elsewhere
            chosen = min((_best(region, busy, num) for region in fitting), key=_cost_beside(busy))
            return Place(tuple((cpu,) for cpu in chosen), bool(cores(chosen) & busy))
    return None


def choose_whole_cores(cpus: Sequence[Cpu], taken: Collection[int], num: int) -> Place | None:
    """`num` cores nobody else computes on, each with all its hyper-threads for one thread.

    All of one NUMA node where one has enough, else of one socket; None where no socket has.
    """
    busy = cores(cpu for cpu in cpus if cpu.number in taken)
    free = [cpu for cpu in cpus if cpu.core not in busy]
    for regions in (by_node(free), by_socket(free)):
        fitting = [region for region in regions if len(cores(region)) >= num]
        if fitting:
            region = min(fitting, key=lambda each: len(cores(each)))
            return Place(_grouped(region, lambda cpu: cpu.core)[:num])
    return None


def cores(cpus: Iterable[Cpu]) -> set[int]:
    """The cores that CPUs belong to."""
    return {cpu.core for cpu in cpus}


def by_node(cpus: Region) -> list[Region]:
    """A region for each NUMA node; some machines have several sockets in one, and the reverse."""
    return list(_grouped(cpus, lambda cpu: (cpu.socket, cpu.node)))


def by_socket(cpus: Region) -> list[Region]:
    """A region for each socket."""
    return [by_node_size(each) for each in _grouped(cpus, lambda cpu: cpu.socket)]


def by_node_size(cpus: Region) -> Region:
    """The same CPUs, those of the fullest node first: so a choice meets few nodes."""
    return [cpu for node in sorted(by_node(cpus), key=len, reverse=True) for cpu in node]


def _grouped(cpus: Region, key: Callable[[Cpu], object]) -> tuple[tuple[Cpu, ...], ...]:
    """In the order in which they come."""
    groups: dict[object, list[Cpu]] = {}
    for cpu in cpus:
        groups.setdefault(key(cpu), []).append(cpu)
    return tuple(map(tuple, groups.values()))


def _best(region: Region, busy: set[int], num: int) -> list[Cpu]:
    """The first `num` by the order that `choose_cpus` promises."""
    firsts = {group[0].number for group in _grouped(region, lambda cpu: cpu.core)}

    def unwanted(cpu: Cpu) -> tuple[bool, bool, int]:
        return cpu.core in busy, cpu.number not in firsts, -cpu.capacity

    return sorted(region, key=unwanted)[:num]


def _cost_beside(busy: set[int]) -> Callable[[list[Cpu]], tuple[int, int, int]]:
    """How bad a choice is, beside cores that others compute on."""

    def cost(chosen: list[Cpu]) -> tuple[int, int, int]:
        shared = sum(cpu.core in busy for cpu in chosen)
        doubled = len(chosen) - len(cores(chosen))
        return shared, doubled, -sum(cpu.capacity for cpu in chosen)

    return cost

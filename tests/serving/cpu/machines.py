"""Machines as Linux shows them below /sys, in a folder: a few kinds of servers and laptops."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from serving.cpu.topology import format_cpus


@dataclass
class Machine:
    """CPUs by their cores, and what else the files tell."""

    cores: list[tuple[int, ...]]  # CPU numbers of each core
    socket_of: dict[int, int] = field(default_factory=dict)  # by CPU
    node_of: dict[int, int] = field(default_factory=dict)
    offline: tuple[int, ...] = ()
    capacity_of: dict[int, int] = field(default_factory=dict)
    small_cores: str = ""  # as kernels without capacities tell them
    files: dict[str, str] = field(default_factory=dict)  # any others

    @property
    def cpus(self) -> set[int]:
        return {cpu for core in self.cores for cpu in core}

    def write(self, root: Path) -> Path:
        """Its files below `root`."""
        files = {"sys/devices/system/cpu/online": format_cpus(self.cpus - {*self.offline})}
        for core in self.cores:
            for cpu in set(core) - {*self.offline}:
                folder = f"sys/devices/system/cpu/cpu{cpu}"
                files[f"{folder}/topology/core_cpus_list"] = format_cpus({*core} - {*self.offline})
                files[f"{folder}/topology/physical_package_id"] = str(self.socket_of.get(cpu, 0))
                if self.capacity_of:
                    files[f"{folder}/cpu_capacity"] = str(self.capacity_of[cpu])
        for node in set(self.node_of.values()):
            its = {cpu for cpu, each in self.node_of.items() if each == node}
            files[f"sys/devices/system/node/node{node}/cpulist"] = format_cpus(its)
        if self.small_cores:
            files["sys/devices/cpu_atom/cpus"] = self.small_cores
        for path, text in (files | self.files).items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(f"{text}\n")
        return root


def one_socket(num_cores: int = 4) -> Machine:
    """Two hyper-threads a core, numbered as Linux does: first ones first."""
    return Machine([(core, core + num_cores) for core in range(num_cores)])


def two_sockets(cores_of_node: int = 4) -> Machine:
    """Two sockets of two NUMA nodes each, two hyper-threads a core."""
    cores = 4 * cores_of_node
    made = one_socket(cores)
    for core, cpus in enumerate(made.cores):
        for cpu in cpus:
            made.socket_of[cpu] = core // (2 * cores_of_node)
            made.node_of[cpu] = core // cores_of_node
    return made


def hybrid(*, capacities: bool) -> Machine:
    """A laptop: two fast cores with hyper-threads, numbered in turn, and four small ones."""
    made = Machine([(0, 1), (2, 3), (4,), (5,), (6,), (7,)])
    if capacities:
        made.capacity_of = {cpu: 1024 if cpu < 4 else 600 for cpu in made.cpus}
    else:
        made.small_cores = "4-7"
    return made

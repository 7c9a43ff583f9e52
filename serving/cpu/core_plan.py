"""How many threads an engine gets and which CPUs it should have for itself, as a pure decision."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import partial

from serving.cpu.core_choice import Choose, Place, choose_cpus, choose_whole_cores
from serving.cpu.topology import Cpu, Topology

SLOW = 0.75  # of the fastest CPU's capacity: less is another kind of core


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What one replica asks of its machine."""

    num_cpus: float = 0.0  # what Ray gave it; 0: nothing, or there is no Ray
    node_cpus: float = 0.0  # what Ray gives to all on this node
    num_threads: int | None = None  # None: as many as CPUs
    replicas_per_socket: int | None = None
    pin: bool | None = None  # None: where no other container may have the same CPUs

    @property
    def whole_cpus(self) -> int:
        """CPUs that it need not share by Ray's books."""
        return int(self.num_cpus)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to try, and what the operator should know of it."""

    num_threads: int
    num_cpus: int  # to choose: CPUs, or whole cores of a socket
    choose: Choose | None = None  # None: threads run wherever the system puts them
    warnings: tuple[str, ...] = ()


def plan(wanted: Wanted, topology: Topology | None) -> Plan:
    """Threads and CPUs for one replica on this machine; `topology` None: the machine tells none."""
    if topology is not None and wanted.replicas_per_socket is not None:
        return _pinned(wanted, topology, _share_of_socket(wanted, topology))
    num_threads = wanted.num_threads or max(1, wanted.whole_cpus)
    num_cpus = max(num_threads, wanted.whole_cpus)
    if topology is None or wanted.pin is False:
        return Plan(num_threads, num_cpus)
    if wanted.num_threads is None and not wanted.whole_cpus:
        return Plan(num_threads, num_cpus, warnings=(_fraction(wanted),))
    warnings: tuple[str, ...] = ()
    if 0 < wanted.whole_cpus < num_threads:
        warnings = (
            f"num_threads: {num_threads} threads compute, but Ray reserved {wanted.num_cpus:g} CPUs"
            f" and may give the rest to others; set num_cpus: {num_threads} in ray_actor_options",
        )
    choose = partial(choose_cpus, topology.cpus, num=num_cpus)
    return _pinned(wanted, topology, Plan(num_threads, num_cpus, choose, warnings))


def _pinned(wanted: Wanted, topology: Topology, plan: Plan) -> Plan:
    """The plan, without its CPUs where threads should not be held to any."""
    if wanted.pin is False:
        return replace(plan, choose=None)
    others = _other_containers(plan.num_threads, topology) if wanted.pin is None else []
    if others:
        return replace(plan, choose=None, warnings=(*plan.warnings, *others))
    return plan


def _share_of_socket(wanted: Wanted, topology: Topology) -> Plan:
    """Whole cores of one socket, so many that each of its replicas gets as many."""
    assert wanted.replicas_per_socket is not None
    cores_of_sockets = topology.cores_of_sockets().values()
    num_cores = min(cores_of_sockets)
    share, left = divmod(num_cores, wanted.replicas_per_socket)
    warnings = _wrong_share(wanted, len(cores_of_sockets) * wanted.replicas_per_socket)
    if left:
        warnings.append(
            f"replicas_per_socket: {num_cores} cores of a socket here / "
            f"{wanted.replicas_per_socket} replicas = {share} and {left} left over"
        )
    share = max(1, share)
    choose = partial(choose_whole_cores, topology.cpus, num=share)
    return Plan(wanted.num_threads or share, share, choose, tuple(warnings))


def _wrong_share(wanted: Wanted, num_replicas: int) -> list[str]:
    """What to say when Ray would put more or fewer replicas on this node than it has room for."""
    if not wanted.num_cpus or int(wanted.node_cpus // wanted.num_cpus) == num_replicas:
        return []
    return [
        f"replicas_per_socket: {num_replicas} replicas fill this node, but with num_cpus: "
        f"{wanted.num_cpus:g} Ray puts {int(wanted.node_cpus // wanted.num_cpus)} on its "
        f"{wanted.node_cpus:g} CPUs; set num_cpus: {wanted.node_cpus // num_replicas:g}"
    ]


def _fraction(wanted: Wanted) -> str:
    return (
        f"num_cpus: {wanted.num_cpus:g} is no whole CPU, so the engine's thread shares whichever it"
        " is put on; set num_cpus: 1 or more for CPUs of its own"
    )


def _other_containers(num_threads: int, topology: Topology) -> list[str]:
    """Why CPUs cannot be kept for the engine: replicas in other containers are not seen here."""
    quota, there = topology.quota, len(topology.cpus)
    if topology.unlimited_pod:
        return [
            f"this pod has no limit of CPUs, so others may compute on the same {there}, and none "
            "can be kept for the engine; give it whole CPUs as both request and limit, or set "
            "pin_cores: true if no other model is on its machine"
        ]
    if quota is None or not topology.shares_time:
        return []
    said = [
        f"this container has the time of {quota:g} CPUs on {there} that other containers use too, "
        "so none can be kept for the engine; give its pod CPUs of its own (the kubelet's "
        "cpuManagerPolicy: static, with whole CPUs as both request and limit), or set "
        "pin_cores: true if no other model is on its machine"
    ]
    if num_threads > quota:
        said.append(
            f"num_threads: {num_threads} threads compute in a container that has the time of "
            f"{quota:g} CPUs, and are stopped in turns; set num_cpus: {max(1, int(quota))}"
        )
    return said


def too_few(plan: Plan, topology: Topology) -> str:
    """What to say when the CPUs were not there."""
    return (
        f"{plan.num_cpus} CPUs were wanted for the engine alone, and too few of the "
        f"{len(topology.cpus)} here are free of other replicas, so its threads share CPUs with "
        "them; lower num_cpus, or the number of replicas on this node"
    )


def remarks(place: Place, num_threads: int, topology: Topology) -> list[str]:
    """What is not ideal about a place."""
    cpus = engine_cpus(place, num_threads)
    said = []
    if place.shares_cores:
        said.append(
            "some of its CPUs are hyper-threads of cores that another replica computes on; start "
            f"Ray on this node with --num-cpus={_num_cores(topology.cpus)}, the number of its cores"
        )
    nodes = {cpu.node for cpu in cpus}
    if len(nodes) > 1 and len(cpus) <= _largest_node(topology.cpus):
        said.append(
            f"its CPUs are spread over NUMA nodes ({', '.join(map(str, sorted(nodes)))}), because "
            f"none of them had {len(cpus)} free, and the memory of one is slow for the others; "
            "start replicas of one size on this node"
        )
    slow = sum(cpu.capacity < SLOW * max(each.capacity for each in cpus) for cpu in cpus)
    if slow:
        said.append(
            f"{slow} of its {len(cpus)} CPUs are slow cores, for which the fast ones wait; "
            f"num_cpus: {len(cpus) - slow} takes fast ones only"
        )
    return said


def engine_cpus(place: Place, num_threads: int) -> tuple[Cpu, ...]:
    """Those that the engine's threads compute on."""
    return Place(place.groups[:num_threads]).cpus


def http_cpus(place: Place, num_threads: int) -> tuple[Cpu, ...]:
    """Those that are left for HTTP, where a replica has more CPUs than threads."""
    return Place(place.groups[num_threads:]).cpus


def _num_cores(cpus: Collection[Cpu]) -> int:
    return len({cpu.core for cpu in cpus})


def _largest_node(cpus: Collection[Cpu]) -> int:
    nodes = [cpu.node for cpu in cpus]
    return max(map(nodes.count, nodes))

"""The CPUs of one replica's engine: chosen, held, and told of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from serving.cpu.core_plan import Plan, Wanted, engine_cpus, http_cpus, plan, remarks, too_few
from serving.cpu.core_reservation import NAME, PATIENCE_S, Reservation, reserve
from serving.cpu.cpu_advice import device_mismatch, missing_instruction_sets
from serving.cpu.pinning import engine_on
from serving.cpu.processor import Processor
from serving.cpu.topology import Cpu, Topology, format_cpus
from serving.resources import CpuUse


class EngineCores:
    """What a replica's engine computes on. Nobody else gets its CPUs until `release`, or until
    this process ends.
    """

    def __init__(self, use: CpuUse, num_cpus: int, reservation: Reservation | None) -> None:
        self.use = use
        self.num_cpus = num_cpus  # the engine's and those that are left for HTTP
        self._reservation = reservation

    @contextmanager
    def starting_engine(self) -> Iterator[None]:
        """Threads that the event loop's thread starts meanwhile stay on the engine's CPUs."""
        if self._reservation is None:
            yield
            return
        place, num_threads = self._reservation.place, self.use.num_threads
        engine, http = engine_cpus(place, num_threads), http_cpus(place, num_threads)
        with engine_on(_numbers(engine), then_on=_numbers(http)):
            yield

    def release(self) -> None:
        """Let other replicas have the CPUs; safe to call twice."""
        if self._reservation is not None:
            self._reservation.release()


async def take_cores(
    wanted: Wanted,
    topology: Topology | None,
    processor: Processor,
    *,
    target_device: str | None = None,
    name: str = NAME,
    patience_s: float = PATIENCE_S,
) -> EngineCores:
    """CPUs for one replica. Never fails: what was not to be had is among the warnings."""
    planned = plan(wanted, topology)
    warnings = list(planned.warnings)
    reservation = None
    if topology is not None and planned.choose is not None:
        numbers = _numbers(topology.cpus)
        reservation = await reserve(numbers, planned.choose, name=name, patience_s=patience_s)
        if reservation is None:
            warnings.append(too_few(planned, topology))
        else:
            warnings += remarks(reservation.place, planned.num_threads, topology)
    mismatch = device_mismatch(processor, target_device)
    if mismatch is not None:
        warnings.append(mismatch)
    cpus = _where(planned, reservation, topology)
    use = CpuUse(
        vendor=processor.vendor,
        model=processor.model,
        num_threads=planned.num_threads,
        cores=format_cpus(_numbers(cpus)),
        pinned=reservation is not None,
        numa_nodes=tuple(sorted({cpu.node for cpu in cpus})),
        instruction_sets=processor.instruction_sets,
        missing_instruction_sets=missing_instruction_sets(processor),
        warnings=tuple(warnings),
    )
    return EngineCores(use, planned.num_cpus, reservation)


def _where(
    planned: Plan, reservation: Reservation | None, topology: Topology | None
) -> tuple[Cpu, ...]:
    """The CPUs that the engine's threads may run on, as far as they are known."""
    if reservation is not None:
        return engine_cpus(reservation.place, planned.num_threads)
    return () if topology is None else topology.cpus


def _numbers(cpus: tuple[Cpu, ...]) -> set[int]:
    return {cpu.number for cpu in cpus}

"""Carries out a comparison: starts arms, hands out the plans of their turns, notes who is lost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType

from inference.bench import probe
from inference.bench.compare.arms import Arm
from inference.bench.compare.comparison import Loss
from inference.bench.compare.plans import Plans
from inference.bench.compare.schedule import WARMUP, Turn
from inference.bench.compare.servers import Server, StartInterrupted, started
from inference.bench.plan import Interrupt, RunPlan
from inference.bench.report.model import ServerReport
from serving.errors import ConfigError


class Rounds:
    """The turns of a comparison as plans, one after the other. Leaving it stops all servers."""

    def __init__(
        self,
        arms: Sequence[Arm],
        plans: Plans,
        *,
        interrupt: Interrupt,
        headers: Mapping[str, str],
        exclusive: bool = False,
        pause_idle: bool = False,
    ) -> None:
        self.servers: dict[str, ServerReport] = {}
        self.losses: list[Loss] = []
        self._arms = {arm.name: arm for arm in arms}
        self._plans = plans
        self._interrupt = interrupt
        self._headers = headers
        self._exclusive = exclusive
        self._pause_idle = pause_idle
        self._running: dict[str, Server] = {}
        self._stops: dict[str, ExitStack] = {}  # of what is running
        self._started_for: dict[str, int] = {}  # the round of each arm's last start

    def __enter__(self) -> Rounds:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with ExitStack() as all_of_them:  # a second Ctrl-C while one stops still stops the others
            for stop in self._stops.values():
                all_of_them.enter_context(stop)

    def plans(self, turns: Iterable[Turn]) -> Iterator[RunPlan]:
        """What to run next; ends early if interrupted, also while an arm starts.

        Raises ConfigError for an arm that is lost before anything was measured; later ones are
        among `losses`, and the others go on.
        """
        measured = False
        for turn in turns:
            if self._interrupt.requested:
                return
            if any(loss.arm == turn.arm for loss in self.losses):
                continue
            try:
                self._ready(turn.arm, turn.round)
                yield self._plan(turn)
                self._check(turn.arm)
            except StartInterrupted:
                return
            except ConfigError as error:
                if not measured:
                    raise
                self._stop(turn.arm)
                name = self._plans.points[turn.point].name
                self.losses.append(Loss(turn.arm, name, turn.round, error.message))
            measured = measured or turn.round != WARMUP

    def _ready(self, name: str, number: int) -> None:
        """Everything that the arm's turn needs is running, and nothing that may not."""
        if self._exclusive:
            self._stop(*(other for other in self._running if other != name))
            self._ensure(name, number)
            return
        for each in self._arms:
            if each == name or each not in self._started_for:
                self._wake_only(each)
                self._ensure(each, number)
        self._wake_only(name)

    def _wake_only(self, name: str) -> None:
        """If asked for, all arms of ours but this one stand still."""
        if not self._pause_idle:
            return
        for other in self._running.keys() - {name}:
            self._running[other].pause()
        if name in self._running:
            self._running[name].resume()

    def _ensure(self, name: str, number: int) -> None:
        arm = self._arms[name]
        if arm.per_round and self._started_for.get(name) != number:
            self._stop(name)
        if arm.started_by_us and name not in self._running:
            self._stops[name] = ExitStack()
            self._running[name] = self._stops[name].enter_context(started(arm))
            self._running[name].wait_ready(self._interrupt)
        self._started_for[name] = number
        if name not in self.servers:
            self.servers[name] = probe.server(self._url(name), self._headers, name)

    def _url(self, name: str) -> str:
        running = self._running.get(name)
        return self._arms[name].url if running is None else running.arm.url

    def _plan(self, turn: Turn) -> RunPlan:
        model = self._plans.model(self.servers[turn.arm])
        return self._plans.plan(turn, self._url(turn.arm), model)

    def _check(self, name: str) -> None:
        """Raises ConfigError if the arm's process did not survive its turn."""
        running = self._running.get(name)
        death = running.death() if running else None
        if running and death:
            raise ConfigError(f"arm '{name}' {death} in the middle of a run{running.tail()}")

    def _stop(self, *names: str) -> None:
        for name in names:
            if self._running.pop(name, None):
                self._stops.pop(name).close()

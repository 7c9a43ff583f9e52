"""Runs, facts and gates become a comparison. Pure: the same runs always get the same verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from inference.bench.compare import metrics
from inference.bench.compare.bootstrap import interval
from inference.bench.compare.gates import Gate, Measure
from inference.bench.compare.pairs import Cells, cells, values
from inference.bench.compare.parity import Alike, ArmFacts, checks, remarks
from inference.bench.compare.verdict import judge, overall
from inference.bench.report.model import Comparison, GateResult, ParityCheck, Ratio, RunReport


@dataclass(frozen=True, slots=True)
class Asked:
    """What a comparison was asked to find out."""

    arms: Sequence[str]
    baseline: str
    rounds: int
    gates: Sequence[Gate] = ()
    alike: Alike = field(default_factory=Alike)


@dataclass(frozen=True, slots=True)
class Loss:
    """An arm that died, or did not come back, in the midst of this run; it was not asked again."""

    arm: str
    run: str
    round: int
    reason: str


def compared(
    asked: Asked,
    facts: Mapping[str, ArmFacts],
    runs: Sequence[RunReport],
    losses: Sequence[Loss] = (),
) -> Comparison:
    """Runs that were interrupted, or that their arm did not survive, are no part of any figure."""
    whole = _whole(runs, losses)
    found = cells(whole)
    points = list(dict.fromkeys(run.name for run in whole))
    gates, unmeasured = _judged(asked, found, points)
    parity = checks(facts, whole, asked.alike)
    parity += [*(_survived(loss) for loss in losses), *unmeasured]
    return Comparison(
        arms=list(asked.arms),
        baseline=asked.baseline,
        rounds=asked.rounds,
        parity=parity,
        ratios=list(_ratios(asked, found, points)),
        gates=gates,
        verdict=overall(gates, parity) if asked.gates else "none",
    )


def observed(
    asked: Asked,
    facts: Mapping[str, ArmFacts],
    runs: Sequence[RunReport],
    losses: Sequence[Loss] = (),
) -> list[str]:
    """What need not be the same for all arms, but is good to know."""
    return remarks(facts, _whole(runs, losses), asked.alike)


def _whole(runs: Sequence[RunReport], losses: Sequence[Loss]) -> list[RunReport]:
    cut = {(loss.arm, loss.run, loss.round) for loss in losses}
    return [
        run for run in runs if not run.interrupted and (run.arm, run.name, run.round) not in cut
    ]


def _judged(
    asked: Asked, found: Cells, points: Sequence[str]
) -> tuple[list[GateResult], list[ParityCheck]]:
    """What each gate says at each load that it is meant for, and what nobody measured."""
    results: list[GateResult] = []
    unmeasured: list[ParityCheck] = []
    for gate in asked.gates:
        for point in [*filter(gate.meant_for, points)] or [gate.point or "any load"]:
            measured = _ratio(found, point, gate.measure)
            if measured is None:
                unmeasured.append(_unmeasured(gate, point))
            else:
                results.append(judge(gate, measured, asked.rounds))
    return results, unmeasured


def _ratios(asked: Asked, found: Cells, points: Sequence[str]) -> Iterator[Ratio]:
    """What is shown whether a gate asks for it or not."""
    for arm in asked.arms:
        for point in points:
            for metric in metrics.SHOWN if arm != asked.baseline else ():
                measure = Measure(arm, metric, asked.baseline, "ratio")
                if (ratio := _ratio(found, point, measure)) is not None:
                    yield ratio


def _ratio(found: Cells, point: str, measure: Measure) -> Ratio | None:
    """None where no round has what it takes."""
    known = values(found, point, measure)
    if not known:
        return None
    sure = interval(known)
    return Ratio(
        arm=measure.arm,
        baseline=measure.baseline,
        metric=measure.metric,
        run=point,
        values=known,
        median=sure.median,
        low=sure.low,
        high=sure.high,
        confidence=sure.confidence,
        difference=measure.relation == "difference",
    )


def _survived(loss: Loss) -> ParityCheck:
    detail = f"{loss.run}, round {loss.round}: {' '.join(loss.reason.split())}"
    return ParityCheck(name=f"{loss.arm} to the end", ok=False, detail=detail)


def _unmeasured(gate: Gate, point: str) -> ParityCheck:
    detail = f"'{gate.text}' at {point}: no round has this figure"
    return ParityCheck(name="figures for every gate", ok=False, detail=detail)

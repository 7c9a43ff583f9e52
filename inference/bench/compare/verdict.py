"""Gates held against rounds, and what all of them say together. Pure.

A gate passes when its whole interval satisfies it, fails when none of it does, and is undecided in
between. Fewer than three rounds decide nothing: they cannot tell a difference from noise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal

from inference.bench.compare.bootstrap import MIN_VALUES
from inference.bench.compare.gates import Gate
from inference.bench.report.model import GateResult, ParityCheck, Ratio

Verdict = Literal["pass", "fail", "undecided", "none"]
EXIT_CODES: Final[dict[Verdict, int]] = {"pass": 0, "none": 0, "fail": 1, "undecided": 3}


def judge(gate: Gate, measured: Ratio, rounds: int) -> GateResult:
    """`rounds` is how many were wanted; those that are missing keep a gate from passing."""
    verdict, reason = _judged(gate, measured, rounds)
    return GateResult(
        gate=gate.text, run=measured.run, verdict=verdict, measured=measured, reason=reason
    )


def _judged(
    gate: Gate, measured: Ratio, rounds: int
) -> tuple[Literal["pass", "fail", "undecided"], str]:
    num = len(measured.values)
    span = f"{measured.low:.4g} to {measured.high:.4g}"
    low, high = gate.holds(measured.low), gate.holds(measured.high)
    if num < MIN_VALUES:
        return "undecided", f"{num} of the {MIN_VALUES} rounds that a verdict needs at least"
    if not low and not high:
        return "fail", f"all of {span} misses it"
    if not (low and high):
        return "undecided", f"{span} lies on both sides; more rounds may tell"
    if num < rounds:
        return "undecided", f"{span} meets it, but only {num} of {rounds} rounds have both arms"
    return "pass", f"all of {span} meets it"


def overall(gates: Sequence[GateResult], parity: Iterable[ParityCheck]) -> Verdict:
    """Arms that were not alike can fail, but not pass."""
    verdicts = {gate.verdict for gate in gates}
    alike = all(check.ok for check in parity)
    if "fail" in verdicts:
        return "fail"
    return "pass" if alike and verdicts <= {"pass"} else "undecided"

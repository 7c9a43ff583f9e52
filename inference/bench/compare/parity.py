"""Whether the arms were alike, so that their figures may be held against each other. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from inference.bench.compare.pairs import Cells, cells
from inference.bench.report.model import ParityCheck, RunReport

MOST_ERROR_GAP = 0.01  # of the requests, between the arms of one round and load
MOST_TOKEN_GAP = 0.001  # of the tokens per answered request

Figure = Callable[[RunReport], float | None]


@dataclass(frozen=True, slots=True)
class ArmFacts:
    """What is known of an arm besides its runs; what nobody says is None or absent."""

    model: str | None = None  # the one that was asked for
    sent: Mapping[str, Any] = field(default_factory=dict)  # with every request
    version: Mapping[str, Any] = field(default_factory=dict)  # as the server says it


def checks(
    arms: Mapping[str, ArmFacts],
    runs: Sequence[RunReport],
    *,
    models_may_differ: bool = False,
    must_match: Sequence[str] = (),
) -> list[ParityCheck]:
    """Every check that these facts allow, in the order in which people ask."""
    each = cells(runs)
    found = [
        _models(arms, models_may_differ),
        *_same_where_both_say("fields sent", {name: arm.sent for name, arm in arms.items()}),
        _alike("requests", each, lambda run: float(run.requests.sent), 0.0, "requests"),
        _errors(each),
        _alike("prompt tokens", each, _prompt_tokens, MOST_TOKEN_GAP, "tokens a request"),
    ]
    if all(arm.sent.get("ignore_eos") for arm in arms.values()):
        found.append(
            _alike("output tokens", each, _output_tokens, MOST_TOKEN_GAP, "tokens a request")
        )
    if all(arm.sent.get("temperature") == 0 for arm in arms.values()):
        found += _answers(each, must_match="answers" in must_match)
    versions = {name: arm.version for name, arm in arms.items()}
    found += _same_where_both_say("versions", versions, must_match="versions" in must_match)
    return found


def _models(arms: Mapping[str, ArmFacts], may_differ: bool) -> ParityCheck:
    said = {name: arm.model for name, arm in arms.items() if arm.model is not None}
    if len(set(said.values())) > 1:
        detail = _listed(said) + (" (as the config maps them)" if may_differ else "")
        return ParityCheck(name="model", ok=may_differ, detail=detail)
    return ParityCheck(name="model", ok=True, detail=next(iter(said.values()), "not said"))


def _same_where_both_say(
    name: str, said: Mapping[str, Mapping[str, Any]], *, must_match: bool = True
) -> Iterator[ParityCheck]:
    """Nothing if no field is said by all arms."""
    shared = set.intersection(*(set(fields) for fields in said.values()))
    differing = [
        key for key in sorted(shared) if len({repr(each[key]) for each in said.values()}) > 1
    ]
    if not shared:
        return
    first = next(iter(said.values()))
    if differing:
        detail = "; ".join(
            f"{key}: {_listed({arm: fields[key] for arm, fields in said.items()})}"
            for key in differing
        )
    else:
        detail = _listed({key: first[key] for key in sorted(shared)})
    yield ParityCheck(name=name, ok=not differing or not must_match, detail=detail)


def _alike(name: str, found: Cells, figure: Figure, gap: float, unit: str) -> ParityCheck:
    """The same in every round and load, within a share of the largest."""
    seen = set()
    for (run, number), by_arm in found.items():
        figures = {arm: figure(report) for arm, report in by_arm.items()}
        known = {arm: value for arm, value in figures.items() if value is not None}
        seen |= set(known.values())
        if known and max(known.values()) - min(known.values()) > gap * max(known.values()):
            shown = _listed({arm: f"{value:g}" for arm, value in known.items()})
            detail = f"{run}, round {number}: {shown} {unit}"
            return ParityCheck(name=name, ok=False, detail=detail)
    low, high = min(seen, default=0.0), max(seen, default=0.0)
    span = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    return ParityCheck(name=name, ok=True, detail=f"{span} {unit}, the same for all arms")


def _errors(found: Cells) -> ParityCheck:
    worst = 0.0
    for (run, number), by_arm in found.items():
        rates = {arm: report.requests.error_rate for arm, report in by_arm.items()}
        worst = max(worst, *rates.values())
        if max(rates.values()) - min(rates.values()) > MOST_ERROR_GAP:
            shown = _listed({arm: f"{rate:.1%}" for arm, rate in rates.items()})
            detail = f"{run}, round {number}: {shown} of the requests failed"
            return ParityCheck(name="errors", ok=False, detail=detail)
    detail = f"at most {worst:.1%} of a run's requests failed" if worst else "no request failed"
    return ParityCheck(name="errors", ok=True, detail=detail)


def _answers(found: Cells, *, must_match: bool) -> Iterator[ParityCheck]:
    """How often all arms said the same; other arithmetic may pick other tokens, with right."""
    said = [
        {report.answers_digest for report in by_arm.values()}
        for by_arm in found.values()
        if len(by_arm) > 1
    ]
    known = [digests for digests in said if None not in digests]
    if known:
        same = sum(len(digests) == 1 for digests in known)
        detail = f"identical in {same} of {len(known)} runs, at temperature 0"
        yield ParityCheck(name="answers", ok=same == len(known) or not must_match, detail=detail)


def _prompt_tokens(run: RunReport) -> float | None:
    return run.tokens.prompt / run.requests.succeeded if run.requests.succeeded else None


def _output_tokens(run: RunReport) -> float | None:
    return run.tokens.output / run.requests.succeeded if run.requests.succeeded else None


def _listed(said: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in said.items())

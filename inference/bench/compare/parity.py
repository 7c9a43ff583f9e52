"""Whether the arms were alike, so that their figures may be held against each other. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
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


class MayDiffer(StrEnum):
    """What need not be the same unless a comparison says so."""

    ANSWERS = "answers"
    VERSIONS = "versions"


@dataclass(frozen=True, slots=True)
class Alike:
    """What must be the same besides the work: less, or more."""

    models: bool = True
    must_match: Sequence[MayDiffer] = ()


def checks(
    arms: Mapping[str, ArmFacts],
    runs: Sequence[RunReport],
    alike: Alike,
) -> list[ParityCheck]:
    """What had to be the same, as far as it is known."""
    each = cells(runs)
    found = [_models(arms)] if alike.models else []
    found += [
        *_same_where_all_say("fields sent", {name: arm.sent for name, arm in arms.items()}),
        _alike("requests", each, lambda run: float(run.requests.sent), 0.0, "requests"),
        _errors(each),
        _alike("prompt tokens", each, _prompt_tokens, MOST_TOKEN_GAP, "tokens a request"),
    ]
    if all(arm.sent.get("ignore_eos") for arm in arms.values()):
        found.append(
            _alike("output tokens", each, _output_tokens, MOST_TOKEN_GAP, "tokens a request")
        )
    optional = {check.name: check for check in _optional(arms, each)}
    return found + [optional.get(name) or _unknown(name) for name in alike.must_match]


def remarks(
    arms: Mapping[str, ArmFacts],
    runs: Sequence[RunReport],
    alike: Alike,
) -> list[str]:
    """What need not be the same, but is good to know."""
    found = [] if alike.models else [_models(arms)]
    found += [check for check in _optional(arms, cells(runs)) if check.name not in alike.must_match]
    return [f"{check.name}: {check.detail}" for check in found]


def _optional(arms: Mapping[str, ArmFacts], found: Cells) -> Iterator[ParityCheck]:
    yield from _same_where_all_say("versions", {name: arm.version for name, arm in arms.items()})
    if all(arm.sent.get("temperature") == 0 for arm in arms.values()):
        yield from _answers(found)


def _unknown(name: str) -> ParityCheck:
    return ParityCheck(name=name, ok=False, detail="nothing that all arms say can be compared")


def _models(arms: Mapping[str, ArmFacts]) -> ParityCheck:
    said = {name: arm.model for name, arm in arms.items() if arm.model is not None}
    if len(set(said.values())) > 1:
        return ParityCheck(name="model", ok=False, detail=_listed(said))
    return ParityCheck(name="model", ok=True, detail=next(iter(said.values()), "not said"))


def _same_where_all_say(name: str, said: Mapping[str, Mapping[str, Any]]) -> Iterator[ParityCheck]:
    """Nothing if no field is said by all arms."""
    shared = sorted(set.intersection(*(set(fields) for fields in said.values())))
    if not shared:
        return
    first = next(iter(said.values()))
    differing = {
        key: {arm: fields[key] for arm, fields in said.items()}
        for key in shared
        if any(fields[key] != first[key] for fields in said.values())
    }
    detail = "; ".join(f"{key}: {_listed(values)}" for key, values in differing.items())
    same = _listed({key: first[key] for key in shared})
    yield ParityCheck(name=name, ok=not differing, detail=detail or same)


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


def _answers(found: Cells) -> Iterator[ParityCheck]:
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
        yield ParityCheck(name="answers", ok=same == len(known), detail=detail)


def _prompt_tokens(run: RunReport) -> float | None:
    return run.tokens.prompt / run.requests.succeeded if run.requests.succeeded else None


def _output_tokens(run: RunReport) -> float | None:
    return run.tokens.output / run.requests.succeeded if run.requests.succeeded else None


def _listed(said: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in said.items())

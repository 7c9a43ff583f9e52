"""What a report says first: one sentence, a few large figures, and what to keep in mind. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from inference.bench.knee import pace
from inference.bench.report import text
from inference.bench.report.columns import METRICS, distribution
from inference.bench.report.model import Comparison, Knee, Report, RunReport

MOST_TOKENS_PER_EVENT = 1.05  # beyond it, ITL is no longer a gap between tokens

# The ratios that make tiles.
TOLD = {
    "output_tokens_per_s": "Output tokens/s",
    "ttft_p50_ms": "TTFT p50",
    "tpot_p50_ms": "TPOT p50",
    "e2el_p50_ms": "E2EL p50",
}


@dataclass(frozen=True, slots=True)
class Tile:
    """One large figure."""

    label: str
    value: str
    unit: str = ""
    detail: str = ""


def best(report: Report) -> RunReport | None:
    """The run that stands for the report: at the knee, else the fastest."""
    answered = [run for run in report.runs if run.requests.succeeded]
    if report.knee is not None:
        at_knee = [run for run in answered if run.name == report.knee.run]
        answered = at_knee or answered
    return max(answered, key=pace, default=None)


def label(run: RunReport) -> str:
    """What tells a run from all others of its report: `ours, concurrency 8, round 2`."""
    parts = (run.arm, run.name, f"round {run.round}" if run.round else "")
    return ", ".join(part for part in parts if part)


def sentence(report: Report) -> str:
    """The findings in one line."""
    return " ".join(_sentences(report))


def _sentences(report: Report) -> Iterator[str]:
    run = best(report)
    if any(run.interrupted for run in report.runs):
        yield "Interrupted: only what was measured until then."
    if not report.runs:
        yield "No run was made."
    elif run is None:
        yield _nothing(report.runs)
    if report.comparison is not None:
        yield _compared(report.comparison)
    elif run is not None and report.knee is not None:
        yield _at_knee(report.knee, run)
    elif run is not None:
        yield _measured(report.runs, run)


def _nothing(runs: Sequence[RunReport]) -> str:
    kinds: Counter[str] = Counter()
    for run in runs:
        kinds.update({each.kind: each.count for each in run.requests.errors})
    errors = ", ".join(f"{kind} {count:,}" for kind, count in kinds.most_common())
    sent = text.count(sum(run.requests.sent for run in runs), "request")
    return f"No answers: none of {sent} succeeded" + (f" ({errors})." if errors else ".")


def _compared(comparison: Comparison) -> str:
    rounds = text.count(comparison.rounds, "round")
    if comparison.verdict == "none":
        arms = ", ".join(arm for arm in comparison.arms if arm != comparison.baseline)
        return f"No gates were given: {arms} against {comparison.baseline} over {rounds}."
    verdicts = Counter(gate.verdict for gate in comparison.gates)
    counts = ", ".join(f"{number} {verdict}" for verdict, number in verdicts.most_common())
    parity = [check.name for check in comparison.parity if not check.ok]
    unlike = f" The arms were not alike: {', '.join(parity)}." if parity else ""
    gates = text.count(len(comparison.gates), "gate")
    return f"Verdict: {comparison.verdict}. {gates} over {rounds}: {counts}.{unlike}"


def _at_knee(knee: Knee, run: RunReport) -> str:
    share = text.percent(knee.share_of_peak)
    return f"The knee is at {knee.run}: {_rates(run)[0]}, {share} of the peak."


def _measured(runs: Sequence[RunReport], run: RunReport) -> str:
    succeeded = sum(each.requests.succeeded for each in runs)
    judged = succeeded + sum(each.requests.failed for each in runs)
    where = f" at {label(run)}" if len(runs) > 1 else ""
    most = "up to " if len(runs) > 1 else ""
    answered = f"{succeeded:,} of {text.count(judged, 'request')} answered"
    return f"{answered}; {most}{' and '.join(_rates(run))}{where}."


def _rates(run: RunReport) -> list[str]:
    """Embeddings have no output tokens."""
    rates = [f"{text.number(run.throughput.requests_per_s)} requests/s"]
    if run.tokens.output:
        rates.insert(0, f"{text.number(run.throughput.output_tokens_per_s)} output tokens/s")
    return rates


def tiles(report: Report) -> list[Tile]:
    """Verdict, figures of the run that stands for the report (or ratios), failed requests."""
    found: list[Tile] = []
    run = best(report)
    if report.comparison is not None:
        found += _comparison_tiles(report.comparison, run.name if run else "")
    elif run is not None:
        found += _run_tiles(run, label(run) if len(report.runs) > 1 else "")
    failed = sum(each.requests.failed for each in report.runs)
    sent = sum(each.requests.sent for each in report.runs)
    found.append(Tile("Failed requests", f"{failed:,}", "", f"of {sent:,} sent"))
    return found


def _comparison_tiles(comparison: Comparison, run_name: str) -> Iterator[Tile]:
    if comparison.verdict != "none":
        gates = text.count(len(comparison.gates), "gate")
        yield Tile("Verdict", comparison.verdict, "", gates)
    for ratio in comparison.ratios:
        if ratio.run == run_name and ratio.metric in TOLD and not ratio.difference:
            label = f"{TOLD[ratio.metric]}, {ratio.arm} / {ratio.baseline}"
            yield Tile(label, f"{ratio.median:.3f}", "\N{MULTIPLICATION SIGN}", ratio.run)


def _run_tiles(run: RunReport, where: str) -> Iterator[Tile]:
    if run.tokens.output:
        yield Tile("Output tokens", text.number(run.throughput.output_tokens_per_s), "/s", where)
    yield Tile("Requests", text.number(run.throughput.requests_per_s), "/s", where)
    for metric in ("ttft", "tpot", "e2el"):
        found = distribution(run, metric)
        if found is not None:
            detail = "" if found.p95 is None else f"p95 {text.number(found.p95)} ms"
            yield Tile(f"{METRICS[metric]} p50", text.number(found.p50), "ms", detail)


def warnings(report: Report) -> list[str]:
    """Why figures of this report may not be what they seem."""
    found = [
        f"{label(run)}: {run.client.overloaded}"
        for run in report.runs
        if run.client is not None and run.client.overloaded
    ]
    if report.comparison is not None:
        found += [f"{each.name}: {each.detail}" for each in report.comparison.parity if not each.ok]
    return found


def notes(report: Report) -> list[str]:
    """The report's own, and what follows from how its tokens were counted."""
    answered = [run for run in report.runs if run.requests.succeeded]
    found = list(report.notes)
    per_event = max((run.tokens.per_event or 0.0 for run in answered), default=0.0)
    if per_event > MOST_TOKENS_PER_EVENT:
        found.append(
            f"Up to {text.number(per_event)} tokens came in one event: ITL is the gap between "
            "events, not between tokens. TPOT is not touched by this."
        )
    counters = {each for run in answered for each in run.tokens.counted_by}
    if "events" in counters:
        found.append(
            "Some answers came without usage and no tokenizer was given: each of their events "
            "counts as one token."
        )
    return found

"""Where more load stops paying, and when a sweep has seen enough. Pure.

The knee is the smallest load that gives nearly as much as any: 95 % of the highest output tokens/s
among the loads that hold. A load holds if nearly no request failed and, where there are
objectives, at least 90 % of the requests met them: the SLO attainment of DistServe (Zhong et al.,
OSDI 2024). A share of the peak is chosen over the largest distance to the chord (Kneedle, Satopaa
et al., 2011) because it says the same of few, uneven and noisy points, and says it in one sentence.
"""

from __future__ import annotations

from collections.abc import Sequence

from inference.bench.report.model import Knee, RunReport

SHARE_OF_BEST = 0.95
MOST_ERRORS = 0.01  # of a run's requests
LEAST_ATTAINMENT = 0.90  # of a run's requests, that meet every objective
LEAST_GROWTH = 0.03  # of throughput, over the last two points of a sweep


def knee(runs: Sequence[RunReport]) -> Knee | None:
    """The load to run at; None if no run holds."""
    holding = [run for run in runs if not run.interrupted and flaw(run) is None]
    if not holding:
        return None
    best = max(pace(run) for run in holding)
    peak = max(pace(run) for run in runs)
    found = min((run for run in holding if pace(run) >= SHARE_OF_BEST * best), key=load)
    share = pace(found) / peak
    return Knee(
        run=found.name,
        output_tokens_per_s=found.throughput.output_tokens_per_s,
        share_of_peak=share,
        reason=_reason(found, runs, share),
    )


def flaw(run: RunReport) -> str | None:
    """Why a run does not hold, in a few words; None if it does."""
    requests, goodput = run.requests, run.goodput
    if not pace(run):
        return "nothing was answered"
    if requests.error_rate > MOST_ERRORS:
        return f"{requests.error_rate:.1%} of the requests failed"
    if goodput is not None and goodput.share < LEAST_ATTAINMENT:
        return f"only {goodput.share:.0%} of the requests met the objectives"
    return None


def why_stop(runs: Sequence[RunReport]) -> str | None:
    """Why a sweep need not go on to a higher load, in a few words; None if it should.

    Throughput that hardly grew over two points is at its peak: one point may be a bad moment.
    """
    if not runs:
        return None
    if found := flaw(runs[-1]):
        return found
    if len(runs) < 3:
        return None
    before = max(pace(run) for run in runs[:-2])
    growth = max(pace(run) for run in runs[-2:]) / before - 1
    # Loads that lie close together may not grow as much as that to begin with.
    expected = load(runs[-1]) / load(runs[-3]) - 1
    if growth < min(LEAST_GROWTH, expected / 2):
        return f"throughput grew by {max(growth, 0.0):.1%} over two points"
    return None


def load(run: RunReport) -> float:
    """What a sweep raises: requests/s of an open loop, clients of a closed one."""
    return run.load.request_rate or run.load.concurrency or 0


def pace(run: RunReport) -> float:
    """Output tokens/s; requests/s where nothing is generated, as with embeddings."""
    return run.throughput.output_tokens_per_s or run.throughput.requests_per_s


def _reason(found: RunReport, runs: Sequence[RunReport], share: float) -> str:
    """One sentence: what it gives, and what is wrong with more."""
    said = f"the smallest load within {1 - SHARE_OF_BEST:.0%} of the best"
    if share < SHARE_OF_BEST:
        said += " that holds"
    beyond = sorted((run for run in runs if load(run) > load(found)), key=load)
    broken = next((run for run in beyond if flaw(run) is not None), None)
    return f"{said}; at {broken.name} {flaw(broken)}" if broken else said

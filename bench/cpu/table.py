"""What was measured, as Markdown. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from bench.cpu import figures, goals
from bench.cpu.arms import ARMS, Arm
from bench.cpu.figures import Rounds
from bench.cpu.goals import PEER_NAMES, Judged
from bench.cpu.loads import PROMPT_TOKENS
from bench.cpu.results import Results
from bench.results import spread
from inference.bench.report import sections, text

HEADINGS = (
    "at once",
    "arm",
    "prefill tokens/s",
    "of compute roof",
    "decode tokens/s",
    "of int8 roof",
    "of int4 roof",
    "decode of best peer",
    "TTFT ms",
)
GOAL_HEADINGS = ("goal", "at once", "least", "ratio", "of", "verdict")
NOTHING = "-"


def lines(results: Results, title: str) -> Iterator[str]:
    """Everything about one shape."""
    yield f"## Engines on this CPU: {title}\n"
    machine = sections.machine(results.environment)
    yield f"{results.created_at:%Y-%m-%d}, {machine}; {_how(results)}\n"
    yield from markdown(HEADINGS, rows(results))
    yield ""
    yield from markdown(GOAL_HEADINGS, map(goal_row, goals.judged(results)))
    yield from _remarks(results)
    yield ""


def _how(results: Results) -> str:
    """What was asked, and what the machine could do meanwhile."""
    answer = max((run.answer_tokens for run in results.runs), default=0)
    said = [
        text.count(results.num_threads, "thread"),
        text.count(results.rounds, "round"),
        f"prompts of {PROMPT_TOKENS} tokens",
        f"answers of {answer}",
        f"{results.size.decode / 1e6:,.0f} M weights a step",
    ]
    if results.ceilings:
        memory = spread([each.bytes_per_s / 1e9 for each in results.ceilings])
        products = spread([each.int8_ops_per_s / 1e9 for each in results.ceilings])
        said += [f"memory reads {memory} GB/s", f"products of int8 {products} GOP/s"]
    return ", ".join(said)


def markdown(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for row in (headings, ["---"] * len(headings), *rows):
        yield "| " + " | ".join(row) + " |"


def rows(results: Results) -> Iterator[tuple[str, ...]]:
    """One for each concurrency and arm that was measured at it."""
    for concurrency in results.concurrency:
        for name in results.arms:
            if figures.figure(results, name, concurrency, "prefill"):
                yield (str(concurrency), name, *_figures(results, ARMS[name], concurrency))


def _figures(results: Results, arm: Arm, concurrency: int) -> Iterator[str]:
    prefill = figures.figure(results, arm.name, concurrency, "prefill")
    decode = figures.figure(results, arm.name, concurrency, "decode")
    yield shown(prefill)
    yield shown(figures.ratios(prefill, figures.roof(results, arm.name, concurrency, "prefill")))
    yield shown(decode)
    for bits in (8, 4):
        roof = figures.roof(results, arm.name, concurrency, "decode", bits=bits)
        yield shown(figures.ratios(decode, roof)) if bits >= arm.bits else NOTHING
    peer = figures.best(results, PEER_NAMES, concurrency, "decode")
    base = figures.figure(results, peer, concurrency, "decode") if peer else {}
    yield shown(figures.ratios(decode, base))
    yield shown(figures.figure(results, arm.name, concurrency, "ttft_ms"))


def goal_row(judged: Judged) -> tuple[str, ...]:
    pair = f"{judged.arm or NOTHING} / {judged.other or goals.ROOF}"
    return (
        f"{judged.goal.words}, {judged.goal.metric}",
        str(judged.concurrency),
        f"{judged.goal.least:g}",
        shown(judged.ratios),
        pair if judged.ratios else NOTHING,
        judged.verdict,
    )


def shown(rounds: Rounds) -> str:
    return spread(list(rounds.values())) if rounds else NOTHING


def _remarks(results: Results) -> Iterator[str]:
    """What no table can show: who is not in it, and why."""
    for arm, fix in results.missing.items():
        yield f"\nnot measured: {arm}, its environment is missing ({fix})"
    for arm, reason in results.lost.items():
        yield f"\nlost: {arm}, {' '.join(reason.split())}"
    for arm in results.arms:
        most = ARMS[arm].most if arm in ARMS else None
        if most is not None and most < max(results.concurrency):
            yield f"\n{arm}: asked for no more than {most} answers at once; it is too slow for more"
    for choice in results.choices:
        yield f"\n{choice}"

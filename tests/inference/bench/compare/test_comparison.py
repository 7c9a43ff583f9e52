from __future__ import annotations

import pytest

from inference.bench.compare import gates
from inference.bench.compare.comparison import Asked, Loss, compared, observed
from inference.bench.compare.parity import ArmFacts
from inference.bench.compare.verdict import EXIT_CODES
from tests.inference.bench.compare.samples import sample_run

SENT = {"temperature": 0, "ignore_eos": True}
FACTS = {"bare": ArmFacts(model="m", sent=SENT), "ours": ArmFacts(model="m", sent=SENT)}


def rounds(*pairs, **changed):
    """Tokens/s of bare and ours in each round."""
    return [
        sample_run(arm, number, tokens_per_s=pace, **changed)
        for number, pair in enumerate(pairs, 1)
        for arm, pace in zip(("bare", "ours"), pair, strict=True)
    ]


def judged(runs, *lines, num_rounds=5, facts=FACTS, losses=()):
    asked = Asked(
        arms=["bare", "ours"],
        baseline="bare",
        rounds=num_rounds,
        gates=gates.from_lines(lines, str),
    )
    return compared(asked, facts, runs, losses)


SAME = [(100, 100)] * 5
FASTER = [(100, 120), (90, 110), (110, 130), (100, 118), (95, 115)]
MIXED = [(100, 95), (100, 105), (100, 99), (100, 102), (100, 94)]


@pytest.mark.parametrize(
    ("pairs", "line", "verdict"),
    [
        (SAME, "ours/bare tokens_per_s >= 1", "pass"),
        (SAME, "ours/bare tokens_per_s > 1", "fail"),
        (FASTER, "ours/bare tokens_per_s >= 1.1", "pass"),
        (FASTER, "ours/bare tokens_per_s < 1.1", "fail"),
        (MIXED, "ours/bare tokens_per_s >= 1", "undecided"),
        (FASTER, "ours - bare tokens_per_s >= 15", "pass"),
        (FASTER, "ours tokens_per_s >= 105", "pass"),
        (FASTER, "ours tokens_per_s >= 200", "fail"),
        (FASTER[:2], "ours/bare tokens_per_s >= 1", "undecided"),
        (FASTER[:2], "ours/bare tokens_per_s < 1", "undecided"),
    ],
)
def test_a_gate_is_judged_by_its_whole_interval(pairs, line, verdict):
    found = judged(rounds(*pairs), line, num_rounds=len(pairs))
    assert [gate.verdict for gate in found.gates] == [verdict], found.gates
    assert found.verdict == verdict


def test_ratios_are_of_pairs_not_of_medians():
    found = judged(rounds((100, 200), (10, 20), (1000, 2000)))
    ratio = next(each for each in found.ratios if each.metric == "output_tokens_per_s")
    assert ratio.values == [2, 2, 2]
    assert (ratio.low, ratio.median, ratio.high) == (2, 2, 2)
    assert (ratio.arm, ratio.baseline, ratio.run) == ("ours", "bare", "concurrency 8")


def test_without_gates_there_is_no_verdict():
    assert judged(rounds(*SAME)).verdict == "none"


@pytest.mark.parametrize(
    ("lines", "verdict"),
    [
        (["ours/bare tokens_per_s >= 1", "ours/bare tokens_per_s < 1.1"], "pass"),
        (["ours/bare tokens_per_s >= 1", "ours error_rate > 1"], "fail"),
    ],
)
def test_the_worst_gate_decides(lines, verdict):
    found = judged(rounds(*SAME), *lines)
    assert found.verdict == verdict
    assert EXIT_CODES[found.verdict] == {"pass": 0, "fail": 1}[verdict]


def test_a_gate_without_a_load_is_judged_at_every_load():
    runs = rounds(*SAME) + rounds(*SAME, concurrency=32)
    found = judged(runs, "ours/bare tokens_per_s >= 1", "ours/bare tokens_per_s >= 1 @ 32")
    assert [gate.run for gate in found.gates] == [
        "concurrency 8",
        "concurrency 32",
        "concurrency 32",
    ]


def test_arms_that_were_not_alike_do_not_pass():
    runs = rounds(*SAME)
    runs[3] = sample_run("ours", 2, prompt_tokens=33)
    found = judged(runs, "ours/bare tokens_per_s >= 1")
    assert found.gates[0].verdict == "pass"
    assert found.verdict == "undecided"
    assert EXIT_CODES[found.verdict] == 3


def test_arms_that_were_not_alike_still_fail():
    runs = rounds(*SAME)
    runs[3] = sample_run("ours", 2, prompt_tokens=33)
    assert judged(runs, "ours/bare tokens_per_s >= 2").verdict == "fail"


def test_a_missing_round_keeps_a_gate_from_passing():
    found = judged(rounds(*SAME[:4]), "ours/bare tokens_per_s >= 1")
    assert found.gates[0].verdict == "undecided"
    assert "4 of 5 rounds" in found.gates[0].reason


def test_a_run_that_its_arm_did_not_survive_is_in_no_figure():
    runs = rounds(*SAME)
    runs[-1] = sample_run("ours", 5, tokens_per_s=1)
    loss = Loss("ours", "concurrency 8", 5, "arm 'ours' ended with exit code 9")
    found = judged(runs, "ours/bare tokens_per_s >= 1", losses=[loss])
    assert found.gates[0].measured.values == [1, 1, 1, 1]
    assert found.verdict == "undecided"
    assert any("exit code 9" in check.detail for check in found.parity if not check.ok)


def test_an_interrupted_run_is_in_no_figure():
    runs = rounds(*SAME)
    runs[-1] = sample_run("ours", 5, tokens_per_s=1, interrupted=True)
    found = judged(runs, "ours/bare tokens_per_s >= 1")
    assert found.gates[0].measured.values == [1, 1, 1, 1]


def test_a_figure_that_nobody_measured_is_said_and_undecided():
    found = judged(rounds(*SAME, ttft_ms=None), "ours - bare ttft_p50_ms <= 3")
    assert found.gates == []
    assert found.verdict == "undecided"
    assert "ours - bare ttft_p50_ms <= 3" in found.parity[-1].detail


def test_a_load_that_was_never_reached_is_undecided():
    found = judged(rounds(*SAME), "ours/bare tokens_per_s >= 1 @ 32")
    assert (found.gates, found.verdict) == ([], "undecided")


def test_a_baseline_that_answered_nothing_gives_no_ratio():
    found = judged(rounds(*[(0, 100)] * 5), "ours/bare tokens_per_s >= 1")
    assert found.verdict == "undecided"
    assert all(ratio.metric != "output_tokens_per_s" for ratio in found.ratios)


def test_what_may_differ_is_observed():
    facts = {name: ArmFacts(model="m", version={"version": name}) for name in FACTS}
    asked = Asked(arms=["bare", "ours"], baseline="bare", rounds=5)
    assert observed(asked, facts, rounds(*SAME)) == ["versions: version: bare bare, ours ours"]

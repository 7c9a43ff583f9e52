"""The tables, checked where their figures are known by hand."""

from __future__ import annotations

from bench.cpu import goals, table
from bench.cpu.goals import Goal
from tests.bench.cpu.samples import ceiling, results, runs

PEER = "vllm-serve-int8"
FOUND = results(
    runs("onnx-int4", 1, decode_s=2.0),
    runs("onnx-int4", 2, decode_s=1.0),
    runs(PEER, 1, decode_s=4.0),
    runs(PEER, 2, decode_s=4.0),
    ceilings=[ceiling("onnx-int4", each, ops_per_s=16_000.0) for each in (1, 2)],
    missing={"ipex_llm-int8": "make ipex-llm"},
    lost={"auto": "it ended\nearly"},
    choices=["round 1, 8 at once: auto takes onnx int4 (the fastest)"],
)


def test_a_row_has_figures_and_their_shares():
    mine, peer = table.rows(FOUND)
    assert mine == (
        *("8", "onnx-int4", "800 (800-800)", "0.80 (0.80-0.80)", "60.0 (40.0-80.0)"),
        *("0.75 (0.50-1.00)", "0.38 (0.25-0.50)", "3.00 (2.00-4.00)", "50.0 (50.0-50.0)"),
    )
    assert peer[:2] == ("8", PEER)
    assert peer[5:8] == ("-", "-", "1.00 (1.00-1.00)")
    assert len(mine) == len(table.HEADINGS)


def test_weights_of_eight_bits_have_no_share_of_a_roof_of_four():
    found = results(runs("onnx-int8", 1), ceilings=[ceiling("onnx-int8", 1)])
    (row,) = table.rows(found)
    assert row[5:7] == ("0.50 (0.50-0.50)", "-")


def test_a_goal_says_who_was_held_against_whom():
    (met,) = goals.judged(FOUND, [Goal("onnx / best peer", goals.ONNX, (PEER,), "decode", 1.0)])
    assert table.goal_row(met) == (
        *("onnx / best peer, decode", "8", "1", "3.00 (2.00-4.00)"),
        *(f"onnx-int4 / {PEER}", "pass"),
    )


def test_nobody_is_left_out_in_silence():
    said = "\n".join(table.lines(FOUND, "a model"))
    assert "not measured: ipex_llm-int8, its environment is missing (make ipex-llm)" in said
    assert "lost: auto, it ended early" in said
    assert "auto takes onnx int4" in said
    assert f"{FOUND.environment.cores} core" in said
    assert "memory reads" in said


def test_who_is_spared_a_load_is_named():
    name = "ipex-llm-generate-int8"
    spared = f"{name}: asked for no more than 8"
    assert spared in "\n".join(table.lines(results(runs(name, 1), concurrency=(8, 32)), ""))
    assert spared not in "\n".join(table.lines(results(runs(name, 1)), ""))


def test_nothing_measured_is_a_table_all_the_same():
    said = list(table.lines(results(), "a model"))
    assert sum("not measured" in line for line in said) >= len(goals.GOALS) - 2

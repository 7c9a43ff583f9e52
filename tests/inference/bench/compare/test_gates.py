from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.bench.compare import gates
from inference.bench.compare.gates import Measure
from serving.errors import ConfigError

POINTS = ["concurrency 1", "concurrency 8"]


def parse(line):
    return gates.parse(line, "gates.txt:1")


def check(line, **changed):
    gates.check([parse(line)], **{"arms": ["ours", "bare"], "points": POINTS, **changed})


@pytest.mark.parametrize(
    ("line", "measure"),
    [
        (
            "ours/bare output_tokens_per_s >= 0.97",
            Measure("ours", "output_tokens_per_s", "bare", "ratio"),
        ),
        ("ours / bare tokens_per_s>=0.97", Measure("ours", "output_tokens_per_s", "bare", "ratio")),
        ("ours - bare ttft_p50_ms <= 3", Measure("ours", "ttft_p50_ms", "bare", "difference")),
        ("our-s error_rate < 0.01", Measure("our-s", "error_rate")),
        (
            "v1.2/v1.1 e2el_p99_ms <= 1  # no slower",
            Measure("v1.2", "e2el_p99_ms", "v1.1", "ratio"),
        ),
    ],
)
def test_a_line_says_what_is_measured(line, measure):
    gate = parse(line)
    assert gate is not None
    assert gate.measure == measure
    assert gate.point is None


def test_a_gate_may_be_meant_for_one_load():
    gate = parse("ours/bare tokens_per_s >= 1e-1 @ 8")
    assert gate is not None
    assert gate.bound == 0.1
    assert [point for point in [*POINTS, "concurrency 88"] if gate.meant_for(point)] == [
        "concurrency 8"
    ]
    named = parse("ours/bare tokens_per_s >= 0.1 @ concurrency 8")
    assert named is not None
    assert named.meant_for("concurrency 8")
    rate = parse("ours/bare tokens_per_s >= 0.1 @0.5")
    assert rate is not None
    assert rate.meant_for("0.5 requests/s")
    assert not rate.meant_for("5 requests/s")


@given(
    st.sampled_from(["<=", ">=", "<", ">"]), st.floats(-100, 100).map(lambda each: round(each, 3))
)
def test_it_holds_as_its_operator_says(operator, bound):
    gate = parse(f"ours/bare tokens_per_s {operator} {bound}")
    assert gate is not None
    assert gate.holds(bound) == ("=" in operator)
    assert gate.holds(bound + 1) == (">" in operator)
    assert gate.holds(bound - 1) == ("<" in operator)


@pytest.mark.parametrize("line", ["", "   ", "# nothing", "  # ours/bare tokens_per_s >= 1"])
def test_empty_lines_and_comments_are_no_gates(line):
    assert parse(line) is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("ours bare", "is no gate; write ARM/BASELINE METRIC"),
        ("ours/bare tokens_per_s = 1", "is no gate"),
        ("ours/bare tokens_per_s >= many", "'many' is no number"),
        ("ours/bare tokens_per_s >= nan", "'nan' is no number"),
        ("ours/bare tokens_per_s >= inf", "'inf' is no number"),
        ("ours/bare tokens_per_sec >= 1", "no metric 'tokens_per_sec' .*'tokens_per_s'"),
    ],
)
def test_a_wrong_line_is_named_with_its_fix(line, reason):
    with pytest.raises(ConfigError, match=f"^gates.txt:1: .*{reason}"):
        parse(line)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("our/bare error_rate < 1", "no arm is called 'our' .*'ours'"),
        ("ours/xyz error_rate < 1", "no arm is called 'xyz'; there are ours, bare"),
        ("ours/ours error_rate < 1", "'ours' is held against itself"),
        ("ours error_rate < 1 @ 9", "no load is called '9'; there are concurrency 1"),
    ],
)
def test_a_gate_about_what_is_not_there_is_refused(line, reason):
    with pytest.raises(ConfigError, match=f"^gates.txt:1: .*{reason}"):
        check(line)


def test_goodput_needs_an_objective():
    check("ours goodput >= 1")
    with pytest.raises(ConfigError, match="goodput needs an objective"):
        check("ours goodput >= 1", slo=False)


def test_a_file_has_one_gate_a_line(tmp_path):
    path = tmp_path / "gates.txt"
    path.write_text("# speed\nours/bare tokens_per_s >= 1\n\nours error_rate < 1 # few\n")
    found = gates.from_file(path)
    assert [gate.text for gate in found] == [
        "ours/bare tokens_per_s >= 1",
        "ours error_rate < 1",
    ]
    assert found[1].source == f"{path}:4"


def test_a_wrong_file_is_named_with_its_line(tmp_path):
    path = tmp_path / "gates.txt"
    path.write_text("\n\nfaster\n")
    with pytest.raises(ConfigError, match=r"gates\.txt:3: 'faster' is no gate"):
        gates.from_file(path)
    with pytest.raises(ConfigError, match=r"none\.txt"):
        gates.from_file(tmp_path / "none.txt")

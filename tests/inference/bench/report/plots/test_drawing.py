"""The arithmetic of plots, and their SVG."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.bench.report.model import Histogram, Report
from inference.bench.report.plots import forests, latencies, load_curves, series, timelines
from inference.bench.report.plots.canvas import Canvas
from inference.bench.report.plots.galleries import galleries
from tests.inference.bench.report import sample

TITLES = ["Throughput and latency", "Latency", "Over time", "Histograms at concurrency 16"]


def titles(report: Report) -> list[str]:
    return [gallery.title for gallery in galleries(report)]


def test_a_sweep_has_every_kind_of_plot() -> None:
    found = {
        each.title: [plot.caption for plot in each.plots] for each in galleries(sample.sweep())
    }
    assert list(found) == TITLES
    assert found["Throughput and latency"] == [
        "Output tokens/s",
        "TTFT p95, ms",
        "TPOT p95, ms",
        "E2EL p95, ms",
    ]
    assert found["Latency"] == ["TTFT", "TPOT", "ITL", "E2EL"]
    assert found["Over time"] == ["Output tokens/s", "Requests in flight", "Failures/s"]


def test_one_load_has_no_curve_over_loads() -> None:
    assert titles(sample.single()) == ["Latency", "Over time", "Histograms"]


def test_a_run_that_failed_shows_when() -> None:
    (over_time,) = galleries(sample.nothing_answered())
    assert [plot.caption for plot in over_time.plots] == ["Requests in flight", "Failures/s"]


def test_nothing_is_drawn_of_nothing() -> None:
    assert titles(sample.report([])) == []


def test_answers_that_were_not_streamed_have_no_first_token() -> None:
    run = sample.run().model_copy(update={"ttft_ms": None, "tpot_ms": None, "itl_ms": None})
    found = {each.title: each for each in galleries(sample.report([run]))}
    assert [plot.caption for plot in found["Latency"].plots] == ["E2EL"]


def test_a_foreign_summary_without_details_is_drawn_as_far_as_it_goes() -> None:
    bare = {"quantiles": [], "histogram": None, "p95": None, "min": None, "max": None}
    runs = [
        run.model_copy(
            update={
                "timeline": [],
                **{
                    name: getattr(run, name).model_copy(update=bare)
                    for name in ("ttft_ms", "tpot_ms", "itl_ms", "e2el_ms")
                },
            }
        )
        for run in (sample.run(1), sample.run(8))
    ]
    (curves,) = galleries(sample.report(runs))
    assert [plot.caption for plot in curves.plots] == ["Output tokens/s"]


def test_words_for_those_who_do_not_see_the_plot_hold_its_figures() -> None:
    report = sample.single()
    ttft = report.runs[0].ttft_ms
    assert ttft and ttft.p95
    latency = next(each for each in galleries(report) if each.title == "Latency")
    assert latency.plots[0].alt == (
        f"CDF of TTFT. concurrency 8: p50 {ttft.p50:.1f} ms, p95 {ttft.p95:.0f} ms."
    )


def svg(canvas: Canvas, name: str = "plot") -> str:
    return canvas.svg(name, "alt")


def test_an_svg_takes_its_colours_from_the_page() -> None:
    canvas = Canvas(x_label="ms")
    canvas.axes.plot([1, 2], [3, 4], color=canvas.ink("var(--series-1)"))
    written = svg(canvas)
    assert "stroke: var(--series-1)" in written
    assert "fill: var(--muted)" in written
    assert not re.search(r"#[0-9a-f]{6}\b", written)
    assert "font-family" not in written


def test_an_svg_is_well_formed_and_its_ids_carry_its_name() -> None:
    for gallery in galleries(sample.sweep()):
        for plot in gallery.plots:
            written = plot.canvas.svg("mine", 'a < b & "c"')
            tree = ElementTree.fromstring(written)
            assert tree.get("aria-label") == 'a < b & "c"'
            ids = re.findall(r' id="([^"]*)"', written)
            used = re.findall(r'(?:url\(|href=")#([^)"]*)', written)
            assert set(ids) == set(used)
            assert all(each.startswith("mine-") for each in ids)


def test_the_same_plot_gives_the_same_svg() -> None:
    first, second = (
        [
            plot.canvas.svg("a", plot.alt)
            for each in galleries(sample.sweep())
            for plot in each.plots
        ]
        for _ in range(2)
    )
    assert first == second


def test_names_are_no_mathematics_and_no_markup() -> None:
    canvas = Canvas()
    canvas.label(0.0, 0.5, "$x_1$ <b> & co")
    assert "$x_1$ &lt;b&gt; &amp; co" in svg(canvas)


@given(
    st.lists(st.floats(min_value=0, max_value=1e6), min_size=1, max_size=2000),
    st.floats(min_value=0.01, max_value=1),
)
def test_a_long_timeline_keeps_its_range_in_few_points(heights: list[float], last_s: float) -> None:
    duration_s = len(heights) - 1 + last_s
    times_s, means = timelines.steps(heights, duration_s)
    assert len(times_s) == len(means) <= timelines.MOST_POINTS + 1
    assert times_s == sorted(times_s)
    assert times_s[0] == 0
    assert times_s[-1] <= max(1, duration_s)
    assert min(heights) - 1e-6 <= min(means) <= max(means) <= max(heights) + 1e-6


def test_a_short_timeline_is_drawn_as_it_is() -> None:
    assert timelines.steps([3, 5, 4, 1], 3.4) == ([0, 1, 2, 3], [3, 5, 4, 4])


@given(
    st.lists(st.integers(min_value=0, max_value=50), min_size=1, max_size=40).map(
        lambda counts: Histogram(edges=[float(at) for at in range(len(counts) + 1)], counts=counts)
    )
)
def test_coarser_bins_lose_nothing(given_bins: Histogram) -> None:
    total = sum(given_bins.counts)
    counts, edges = latencies.coarser(given_bins, total)
    assert sum(counts) == total
    assert len(edges) == len(counts) + 1
    assert (edges[0], edges[-1]) == (given_bins.edges[0], given_bins.edges[-1])
    assert len(counts) <= max(1, round(2 * total ** (1 / 3)))


@given(st.lists(st.floats(min_value=0, max_value=1), min_size=1).map(sorted))
def test_labels_do_not_touch(places: list[float]) -> None:
    kept = load_curves.apart(places)
    assert kept[0] == 0
    assert all(places[b] - places[a] >= load_curves.LEAST_GAP for a, b in pairwise(kept))


def test_points_are_the_medians_of_their_rounds_in_the_order_of_the_loads() -> None:
    runs = [
        sample.run(load, seed=number, round_number=number)
        for load in (16, 4)
        for number in (1, 2, 3)
    ]
    (arm,) = series.arms(runs)
    axis = load_curves.Axis("Output tokens/s", "", load_curves.pace)
    points = load_curves.points(arm, axis, axis)
    assert [point.load for point in points] == [4, 16]
    rates = sorted(run.throughput.output_tokens_per_s for run in runs[:3])
    assert points[1].y == rates[1]


@pytest.mark.parametrize(
    ("gate", "bound"),
    [
        ("ours/bare output_tokens_per_s >= 0.97", 0.97),
        ("ours - bare ttft_p50_ms <= -3 @ 8", -3.0),
        ("ours error_rate < 1e-3", 0.001),
        ("something else", None),
    ],
)
def test_a_gates_bound_is_read_from_its_line(gate: str, bound: float | None) -> None:
    assert forests.bound(gate) == bound


def test_every_gate_and_every_metric_of_a_comparison_has_a_plot() -> None:
    comparison = sample.compared((1, 8)).comparison
    assert comparison is not None
    assert [plot.caption for plot in forests.gates(comparison).plots] == [
        "ours/bare output_tokens_per_s >= 0.97",
        "ours/bare ttft_p50_ms <= 1.00",
    ]
    assert [plot.caption for plot in forests.ratios(comparison).plots] == [
        "Output tokens/s, more is better",
        "TTFT p50, ms, less is better",
        "TPOT p50, ms, less is better",
    ]


def test_a_gate_on_several_loads_is_one_plot() -> None:
    comparison = sample.compared((1, 8)).comparison
    assert comparison is not None
    first = comparison.gates[0]
    comparison.gates = [first, first.model_copy(update={"run": "concurrency 8"})]
    (plot,) = forests.gates(comparison).plots
    assert "concurrency 1 pass, concurrency 8 pass" in plot.alt


def test_intervals_without_width_still_have_air() -> None:
    comparison = sample.compared().comparison
    assert comparison is not None
    ratio = comparison.ratios[0].model_copy(
        update={"values": [1.0], "median": 1.0, "low": 1.0, "high": 1.0}
    )
    low, high = forests.limits([forests.Row("", "red", ratio)], 1.0)
    assert low < 1.0 < high


def test_long_names_are_shortened_at_their_beginning() -> None:
    assert forests.shortened("concurrency 8") == "concurrency 8"
    long = forests.shortened("a very long arm's name, concurrency 128")
    assert long.startswith("…")
    assert long.endswith("concurrency 128")
    assert len(long) == forests.MOST_LETTERS

"""Tables, as CSV for programs and as Markdown for people."""

from __future__ import annotations

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from inference.bench.report import columns, table
from inference.bench.report.columns import COLUMNS
from inference.bench.report.table import Table
from tests.inference.bench.report import sample

words = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=12)
cells = st.one_of(st.none(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), words)


@given(st.lists(st.tuples(cells, cells, cells), max_size=6))
def test_markdown_has_one_line_for_each_row_and_no_broken_cells(rows: list[tuple]) -> None:
    lines = Table(("a", "b", "c"), tuple(rows)).markdown().split("\n")
    assert len(lines) == 2 + len(rows)
    assert {line.replace(r"\|", "").count("|") for line in lines} == {4}


@given(st.lists(st.tuples(words, st.floats(allow_nan=False, allow_infinity=False)), max_size=6))
def test_csv_gives_back_every_value(rows: list[tuple[str, float]]) -> None:
    written = Table(("name", "value"), tuple(rows)).csv()
    header, *found = csv.reader(io.StringIO(written, newline=""))
    assert header == ["name", "value"]
    assert [(name, float(value)) for name, value in found] == rows


def test_what_was_not_measured_is_empty_unless_a_table_says_otherwise() -> None:
    assert Table(("a", "b"), ((None, 1),)).csv() == "a,b\n,1\n"
    assert Table(("a", "b"), ((None, 1),), absent="-").csv() == "a,b\n-,1\n"


def test_numbers_stand_at_the_right() -> None:
    assert Table(("name", "value"), (("a", 1.0), ("b", None))).markdown() == (
        "| name | value |\n| --- | ---: |\n| a | 1.00 |\n| b | - |"
    )


def test_every_run_is_one_row_with_units_in_the_names() -> None:
    report = sample.sweep()
    rows = list(csv.DictReader(io.StringIO(table.runs(report.runs).csv())))
    assert [row["run"] for row in rows] == [run.name for run in report.runs]
    last, run = rows[-1], report.runs[-1]
    assert run.ttft_ms and run.client
    assert float(last["ttft_p95_ms"]) == run.ttft_ms.p95
    assert float(last["output_tokens_per_s"]) == run.throughput.output_tokens_per_s
    assert float(last["client_cpu_us_per_event"]) == run.client.cpu_us_per_event
    assert last["concurrency"] == "64"
    assert last["request_rate_per_s"] == ""
    assert last["errors"] == "http_5xx:14 timeout:14"


def test_column_names_are_unique() -> None:
    names = [column.name for column in COLUMNS]
    assert len(set(names)) == len(names)


def test_columns_without_figures_are_left_out() -> None:
    titles = [column.title for column, _ in columns.shown(sample.single().runs)]
    assert "Arm" not in titles
    assert "Goodput requests/s" not in titles
    assert "Output tokens/s per GPU" not in titles
    assert {"Load", "Requests ok", "Output tokens/s", "TTFT p95, ms"} <= set(titles)


def test_embeddings_have_no_columns_of_output() -> None:
    run = sample.run()
    tokens = run.tokens.model_copy(update={"output": 0})
    shown = columns.shown([run.model_copy(update={"tokens": tokens})])
    assert not [column.name for column, _ in shown if column.name.startswith("output")]


def test_a_title_is_what_people_call_a_metric() -> None:
    assert columns.title("ttft_p50_ms") == "TTFT p50, ms"
    assert columns.title("output_tokens_per_s") == "Output tokens/s"
    assert columns.title("something_else") == "something_else"

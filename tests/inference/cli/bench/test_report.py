"""`anynode bench report` as its users run it."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from inference.bench.report import files, markdown
from inference.bench.report.templates import TEMPLATES
from tests.inference.bench.report import sample


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "stored.json"
    path.write_text(files.to_json(sample.sweep()))
    return path


def test_a_stored_report_is_printed_again(anynode, stored):
    done = anynode("bench", "report", stored)
    assert done.code == 0, done.err
    assert done.out.strip() == markdown.render(sample.sweep()).strip()


def test_all_files_are_made_again(anynode, stored, tmp_path):
    done = anynode("bench", "report", stored, "-o", tmp_path / "again")
    assert done.code == 0, done.err
    assert files.read(tmp_path / "again.json") == sample.sweep()
    assert (tmp_path / "again.html").stat().st_size > 10_000
    assert f"wrote {tmp_path / 'again.csv'}" in done.err


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_table_of_an_older_tool_is_printed(anynode, stored, name):
    done = anynode("bench", "report", stored, "--template", name)
    assert done.code == 0, done.err
    assert done.out.strip() == TEMPLATES[name](sample.sweep()).markdown()


def test_the_table_of_an_older_tool_is_written_beside_the_others(anynode, stored, tmp_path):
    done = anynode("bench", "report", stored, "--template", "throughput", "-o", tmp_path / "again")
    assert done.code == 0, done.err
    written = (tmp_path / "again.throughput.csv").read_text()
    rows = list(csv.DictReader(written.splitlines()))
    assert [row["Number of Concurrent Requests"] for row in rows] == ["1", "4", "16", "32", "64"]
    assert (tmp_path / "again.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.json"], "missing.json: No such file"),
        (["{stored}", "-o", "{folder}/no/run"], "--output: there is no folder"),
        (["{stored}", "--template", "other"], "is not one of"),
        (["{folder}/other.json"], "it has no schema_version"),
    ],
)
def test_mistakes_are_told_in_a_sentence(anynode, stored, tmp_path, arguments, message):
    (tmp_path / "other.json").write_text("{}")
    given = [each.format(stored=stored, folder=tmp_path) for each in arguments]
    done = anynode("bench", "report", *given)
    assert done.code == 2
    assert message in " ".join(done.err.replace("│", " ").split())

"""Reports on disk: whole, or not there; read back as they were."""

from __future__ import annotations

import json
import os
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

from inference.bench.report import files, markdown
from inference.bench.report.model import Report
from serving.errors import ConfigError
from tests.inference.bench.report import sample


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_four_files_are_written_and_nothing_else(tmp_path: Path) -> None:
    written = files.write(sample.single(), tmp_path / "run-1.5")
    names = ["run-1.5.json", "run-1.5.md", "run-1.5.csv", "run-1.5.html"]
    assert [path.name for path in written] == names
    assert names_in(tmp_path) == sorted(names)
    assert (tmp_path / "run-1.5.md").read_text() == markdown.render(sample.single())


@pytest.mark.parametrize(
    "report",
    [sample.sweep(), sample.compared(), sample.nothing_answered(), sample.interrupted()],
    ids=lambda report: report.title,
)
def test_what_is_read_is_what_was_written(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(files.to_json(report))
    assert files.read(path) == report


def test_older_files_are_replaced(tmp_path: Path) -> None:
    files.write(sample.single(), tmp_path / "run")
    files.write(sample.sweep(), tmp_path / "run")
    assert files.read(tmp_path / "run.json").kind == "sweep"


def test_files_can_be_read_by_whom_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        files.write_whole(tmp_path / "file", "text")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_one_file_that_fails_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    (tmp_path / "run.md").mkdir()
    with pytest.raises(ConfigError, match=r"could not write .*run\.md: .*; written: .*run\.json"):
        files.write(sample.single(), tmp_path / "run")
    assert files.read(tmp_path / "run.json") == sample.single()
    assert (tmp_path / "run.html").is_file()
    assert names_in(tmp_path) == ["run.csv", "run.html", "run.json", "run.md"]


def test_a_page_that_cannot_be_drawn_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(report: Report) -> str:
        raise ZeroDivisionError("no such plot")

    monkeypatch.setattr("inference.bench.report.page.render", fail)
    with pytest.raises(ConfigError, match=r"run\.html: no such plot"):
        files.write(sample.single(), tmp_path / "run")
    assert (tmp_path / "run.csv").is_file()


def test_without_matplotlib_all_but_the_page_is_written_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(name: str) -> ModuleSpec | None:
        assert name == "matplotlib"
        return None

    monkeypatch.setattr(files, "find_spec", missing)
    written = files.write(sample.single(), tmp_path / "run")
    assert [path.suffix for path in written] == [".json", ".md", ".csv"]
    assert "pip install 'anynode[bench]'" in (tmp_path / "run.md").read_text()
    assert files.NO_PLOTS in caplog.text


def test_a_prefix_that_can_be_written_passes_and_leaves_nothing(tmp_path: Path) -> None:
    files.check_writable(tmp_path / "run")
    (tmp_path / "run.json").write_text("older")
    files.check_writable(tmp_path / "run")
    assert names_in(tmp_path) == ["run.json"]


@pytest.mark.parametrize(
    ("prefix", "message"),
    [
        ("missing/run", r"there is no folder .*missing; make it: mkdir -p .*missing"),
        (".", r"is a folder; add the files' name, as in .*/run$"),
        ("folder", r"folder is a folder; add the files' name"),
        ("run.json", r"run\.json is a file's name; leave out \.json"),
        ("taken", r"taken\.csv is a folder; choose another prefix"),
        ("file/run", r"there is no folder .*file"),
    ],
)
def test_a_prefix_that_cannot_be_written_is_refused_before_the_run(
    prefix: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "taken.csv").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=rf"^--output: .*{message}"):
        files.check_writable(tmp_path / prefix)


def test_a_folder_that_is_read_only_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^--output: cannot write into /proc: "):
        files.check_writable(Path("/proc/run"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.json: No such file"):
        files.read(tmp_path / "nothing.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "this is not JSON"),
        (b"{", "this is not JSON"),
        (b"\xff\xfe", "this is not JSON"),
        (b"[]", "it has no schema_version, and this anynode reads 'anynode.bench/1'"),
        (b"{}", "it has no schema_version"),
        (b'{"schema_version": "anynode.bench/9"}', "its schema_version is 'anynode.bench/9'"),
        (b'{"schema_version": "anynode.bench/1"}', "kind: Field required"),
        (b"[" * 100_000, "this is not JSON"),
    ],
)
def test_what_is_no_report_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"report\.json: {message}"):
        files.read(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"titel": "x"}, "titel: Extra inputs are not permitted"),
        ({"kind": "walk"}, "kind: Input should be 'serve', 'sweep'"),
        ({"runs": [{}]}, r"runs\.0\.name: Field required"),
    ],
)
def test_the_first_wrong_field_is_named(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(json.loads(files.to_json(sample.single())) | change))
    with pytest.raises(ConfigError, match=message):
        files.read(path)

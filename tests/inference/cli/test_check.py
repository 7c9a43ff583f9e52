"""`anynode check` and `anynode migrate`: exit codes and where words go."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from inference.cli.main import app
from tests.inference.check.bad_files import DATA

ROOT = Path(__file__).parents[3]
runner = CliRunner()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["check", str(DATA / "serve.yaml")], 0),
        (["check", str(DATA / "seed_cpu.yaml")], 1),
        (["migrate", str(DATA / "seed_gpu.yaml")], 0),
        (["migrate", str(DATA / "seed_cpu.yaml")], 1),
    ],
)
def test_exit_codes(arguments: list[str], code: int) -> None:
    assert runner.invoke(app, arguments).exit_code == code


def test_a_file_that_cannot_be_used_is_one_sentence_and_code_2(tmp_path: Path) -> None:
    for command in ("check", "migrate"):
        done = subprocess.run(
            [sys.executable, "-m", "inference.cli.main", command, str(tmp_path / "none.yaml")],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 2
        assert done.stderr.startswith("anynode: ")
        assert len(done.stderr.splitlines()) == 1


def test_a_warning_is_an_error_where_one_asks_for_it(tmp_path: Path) -> None:
    path = tmp_path / "serve.yaml"
    path.write_text((DATA / "serve.yaml").read_text().replace("batch_size: 8", "batch_timeout: 1"))
    assert runner.invoke(app, ["check", str(path)]).exit_code == 0
    assert runner.invoke(app, ["check", "--strict", str(path)]).exit_code == 1


def test_formats() -> None:
    path = str(DATA / "seed_cpu.yaml")
    read = json.loads(runner.invoke(app, ["check", "--format", "json", path]).stdout)
    assert read["num_errors"] == 9
    shown = runner.invoke(app, ["check", "--format", "github", path]).stdout.splitlines()
    assert len(shown) == read["num_errors"] + read["num_warnings"]
    assert all(line.startswith(("::error file=", "::warning file=")) for line in shown)
    assert runner.invoke(app, ["check", "--format", "xml", path]).exit_code == 2


def test_a_migration_is_a_diff_unless_it_is_to_be_written(tmp_path: Path) -> None:
    path, link = tmp_path / "old.yaml", tmp_path / "link.yaml"
    path.write_text((DATA / "seed_gpu.yaml").read_text())
    path.chmod(0o640)
    link.symlink_to(path)
    shown = runner.invoke(app, ["migrate", str(link)])
    assert "+        max_ongoing_requests: 256 # maximum concurrent queries" in shown.stdout
    assert path.read_text() == (DATA / "seed_gpu.yaml").read_text()
    assert runner.invoke(app, ["migrate", "--write", str(link)]).exit_code == 0
    assert runner.invoke(app, ["check", str(path)]).exit_code == 0
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link.yaml", "old.yaml"]
    assert runner.invoke(app, ["migrate", str(link)]).stdout == ""


def test_standard_input_is_read_and_not_written() -> None:
    text = (DATA / "seed_gpu.yaml").read_text()
    assert "max_ongoing_requests" in runner.invoke(app, ["migrate", "-"], input=text).stdout
    assert runner.invoke(app, ["check", "-"], input=text).exit_code == 1
    assert runner.invoke(app, ["migrate", "-", "--write"], input=text).exit_code != 0


def test_what_is_served_is_checked_first() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "inference.cli.main", "serve", str(DATA / "seed_cpu.yaml")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "seed_cpu.yaml:10: applications.0.args.model_name: <Model Path>" in done.stderr
    assert "more: anynode check" in done.stderr

"""The `anynode` command, as far as it goes without starting anything."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from inference.cli import convert as convert_command
from inference.cli.serve import read
from inference.local.preflight import num_cpus
from inference.names import default_name
from serving.conversion.converters import CONVERTERS
from serving.errors import ConfigError


def anynode(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "inference.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_help_names_every_command() -> None:
    said = anynode("--help")
    assert said.returncode == 0
    for command in ("serve", "convert", "version"):
        assert re.search(rf"\b{command}\b", said.stdout)


def test_it_knows_its_version() -> None:
    assert re.match(r"\d+\.\d+|unknown", anynode("version").stdout)


def test_an_option_that_does_not_exist_is_refused() -> None:
    said = anynode("serve", "--prot", "9000")
    assert said.returncode == 2
    assert "--port" in said.stderr


def test_a_model_folder_runs_on_all_cpus_with_the_default_engine() -> None:
    config = read("models/x", {}, host=None, port=None, proxy="haproxy")
    (application,) = config.applications()
    assert application.args.engine == "onnx"
    assert application.num_cpus == num_cpus()
    assert (config.host, config.port) == ("127.0.0.1", 8000)


def test_a_gguf_file_is_a_model_and_no_config(tmp_path: Path) -> None:
    path = tmp_path / "small-q8_0.gguf"
    path.touch()
    config = read(str(path), {"num_threads": 1}, host=None, port=None, proxy="haproxy")
    (application,) = config.applications()
    assert application.args.engine == "llama_cpp"
    assert default_name(application.args.model_name) == "small-q8_0"


def test_options_of_a_model_do_not_go_with_a_file(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("applications: []")
    with pytest.raises(ConfigError, match="batch_size belongs into the args"):
        read(str(path), {"batch_size": 2}, host=None, port=None, proxy="haproxy")


def test_converting_what_is_no_checkpoint(tmp_path: Path) -> None:
    said = anynode("convert", str(tmp_path))
    assert said.returncode == 2
    assert said.stderr == (
        f"anynode: {tmp_path} holds no config.json, so it is no checkpoint's folder\n"
    )


def test_the_conversion_set_is_installed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = tmp_path / "convert.txt"
    wanted.write_text("")  # nothing to install, but a change of it counts
    monkeypatch.setattr(convert_command, "REQUIREMENTS", tmp_path)
    monkeypatch.setattr(convert_command, "ENVIRONMENTS", tmp_path / "environments")
    converter = CONVERTERS["onnx"]
    python = convert_command.environment(converter)
    assert python.exists()
    marker = python.parent / "still-there"
    marker.touch()
    convert_command.environment(converter)
    assert marker.exists()
    wanted.write_text("# changed\n")
    convert_command.environment(converter)
    assert not marker.exists()

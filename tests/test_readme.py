"""The README is law: its commands run, its examples answer, its paths exist."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inference.check.files import check_text
from inference.local.ports import free_port, is_free

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PORT_IN_TEXT = "8000"
START_S = 300.0  # the first time it installs
STOP_S = 20.0


def blocks(language):
    """The fenced blocks of one language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def run(command, port, **options):
    """A command of the README, aimed at the server of this test; what it printed."""
    command = [word.replace(PORT_IN_TEXT, str(port)) for word in command]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=True, **options
    )
    return done.stdout


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """Where `make serve` answers; then a Ctrl-C, which leaves nobody there."""
    home, port = tmp_path_factory.mktemp("home"), free_port()
    outer = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")
    inherited = {key: value for key, value in os.environ.items() if key not in outer}
    with (home / "output.txt").open("w+") as output:
        process = subprocess.Popen(
            ["make", "serve", f"ARGS=--port {port}"],
            cwd=ROOT,
            env={**inherited, "HOME": str(home)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + START_S
            while "Ready after" not in (said := (home / "output.txt").read_text()):
                assert process.poll() is None, said
                assert time.monotonic() < deadline, said
                time.sleep(0.2)
            yield port
        finally:
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does: make and all below it
            process.wait(STOP_S)
    assert is_free("127.0.0.1", port)


def test_the_two_commands_are_on_the_first_screen():
    first_screen = README.splitlines()[:40]
    for command in ("make serve", "make test"):
        assert any(line.startswith(command) for line in first_screen)
        subprocess.run(["make", "--dry-run", command.split()[1]], cwd=ROOT, check=True)


def test_make_serve_answers_the_curl_of_the_first_screen(port):
    (curl,) = (block for block in blocks("sh") if block.startswith("curl"))
    assert "Paris" in run(["bash", "-c", curl], port)


def test_make_serve_answers_the_python_example(port):
    (example,) = blocks("python")
    assert "Paris" in run([sys.executable, "-c", example], port)


def test_the_benchmark_measures_what_make_serve_serves(port, tmp_path):
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    (line,) = (line for line in lines if "anynode bench serve" in line)
    program, *arguments = shlex.split(line, comments=True)
    assert program == ".venv/bin/anynode"
    command = [sys.executable, "-m", "inference.cli.main", *arguments]
    said = run(command, port, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert "64 of 64 requests answered" in said
    assert (tmp_path / "first.html").stat().st_size > 10_000


@pytest.mark.parametrize("example", blocks("yaml"))
def test_every_yaml_example_is_a_config_we_accept(example):
    assert check_text(example, "README.md") == []


def test_every_linked_or_named_file_exists():
    linked = re.findall(r"\]\(([^)#:]+)\)", README)
    named = re.findall(r"\b((?:serving|docs|tests|models)/[\w./-]+\w)", README)
    missing = [path for path in {*linked, *named} if not (ROOT / path).exists()]
    assert not missing


def test_named_programs_come_with_the_install():
    for program in set(re.findall(r"\.venv/bin/(\w+)", README)):
        assert shutil.which(program, path=Path(sys.executable).parent), program

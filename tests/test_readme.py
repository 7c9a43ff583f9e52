"""The README is law: its commands run, its examples answer, its paths exist."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from inference.args import ApplicationArgs
from tests.inference.running import Running

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PORT_IN_TEXT = "8000"


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
def made(tmp_path_factory):
    """What `make serve` starts."""
    home = tmp_path_factory.mktemp("home")
    with Running((), home, {}, command=("make", "--silent", "serve")) as server:
        server.wait_until_ready()
        yield server
        server.stop(signal.SIGINT)


def test_the_two_commands_are_on_the_first_screen():
    first_screen = README.splitlines()[:40]
    for command in ("make serve", "make test"):
        assert any(line.startswith(command) for line in first_screen)
        subprocess.run(["make", "--dry-run", command.split()[1]], cwd=ROOT, check=True)


def test_make_serve_answers_the_curl_of_the_first_screen(made):
    (curl,) = (block for block in blocks("sh") if block.startswith("curl"))
    assert "Paris" in run(["bash", "-c", curl], made.port)


def test_make_serve_answers_the_python_example(made):
    (example,) = blocks("python")
    assert "Paris" in run([sys.executable, "-c", example], made.port)


def test_the_printed_examples_work_when_pasted(made):
    curl = re.search(r"^curl .*?\}'$", made.output, re.DOTALL | re.MULTILINE)
    assert '"choices"' in run(["bash", "-c", curl[0]], made.port)
    python = re.search(r"^from openai .*?^print\(.*?$", made.output, re.DOTALL | re.MULTILINE)
    assert run([sys.executable, "-c", python[0]], made.port).strip()


def test_the_yaml_example_is_a_config_we_accept():
    (example,) = blocks("yaml")
    for application in yaml.safe_load(example)["applications"]:
        ApplicationArgs.model_validate(application["args"])


def test_every_linked_or_named_file_exists():
    linked = re.findall(r"\]\(([^)#:]+)\)", README)
    named = re.findall(r"\b((?:serving|docs|tests|models)/[\w./-]+\w)", README)
    missing = [path for path in {*linked, *named} if not (ROOT / path).exists()]
    assert not missing


def test_named_programs_come_with_the_install():
    for program in set(re.findall(r"\.venv/bin/(\w+)", README)):
        assert shutil.which(program, path=Path(sys.executable).parent), program

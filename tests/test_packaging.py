"""The pinned sets hold all that pyproject.toml asks for, and say nothing but names and versions."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def extra(name: str) -> list[str]:
    """What an extra asks for, with what those of ours ask for that it names."""
    wanted: list[str] = []
    for line in EXTRAS[name]:
        asked = Requirement(line)
        ours = asked.name == PROJECT["name"]
        wanted += (
            [each for other in sorted(asked.extras) for each in extra(other)] if ours else [line]
        )
    return wanted


SETS = {
    "base": PROJECT["dependencies"] + extra("bench"),
    "dev": PROJECT["dependencies"] + extra("dev"),
    "convert": extra("convert"),
    "llama-cpp": PROJECT["dependencies"] + extra("llama-cpp"),
}
PYTHONS = ("3.11", "3.12", "3.13")


def locked(name: str) -> list[Requirement]:
    return [Requirement(line) for line in lines(name)]


def lines(name: str) -> list[str]:
    return (ROOT / f"requirements/{name}.txt").read_text().splitlines()


def pins(name: str, python: str) -> dict[str, str]:
    """What is installed on one Python on Linux."""
    here = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "platform_machine": "x86_64",
    }
    return {
        canonicalize_name(each.name): str(each.specifier).removeprefix("==")
        for each in locked(name)
        if each.marker is None or each.marker.evaluate(here)
    }


@pytest.mark.parametrize("name", SETS)
def test_a_line_is_a_name_and_a_version(name: str) -> None:
    for line in lines(name):
        assert re.fullmatch(r"[a-z0-9-]+==[\w.!]+( ; .+)?", line), line


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("name", SETS)
def test_all_that_is_asked_for_is_pinned(name: str, python: str) -> None:
    pinned = pins(name, python)
    for wanted in map(Requirement, SETS[name]):
        version = pinned[canonicalize_name(wanted.name)]
        assert wanted.specifier.contains(version), wanted


@pytest.mark.parametrize("python", PYTHONS)
def test_what_serves_is_what_is_tested(python: str) -> None:
    assert pins("base", python).items() <= pins("dev", python).items()


@pytest.mark.parametrize("name", ["base", "dev"])
def test_serving_needs_no_torch(name: str) -> None:
    assert not {"torch", "vllm"} & {each.name for each in locked(name)}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_nothing_names_where_packages_come_from() -> None:
    """Whoever installs decides on the index; a name of one in a file would override that."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    hosts = re.compile(r"(--(extra-)?index-url|--find-links|https?://\S+/simple\b)")
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.is_file() and path.suffix in {".txt", ".toml", ".yaml", ".yml", ".sh", ""}:
            text = path.read_text(errors="replace")
            assert not hosts.search(text), name

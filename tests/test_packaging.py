"""The pinned sets hold all that pyproject.toml asks for, and say nothing but names and versions.

And our operators for ONNX Runtime come with the package where they can be compiled.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from serving.kernels.library import LIBRARY

ROOT = Path(__file__).parents[1]
KERNELS = "serving/kernels"
SETTINGS: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT: dict[str, Any] = SETTINGS["project"]
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


@pytest.mark.parametrize(("key", "suffix"), [("sources", "c"), ("depends", "h")])
def test_every_file_of_our_operators_is_named(key: str, suffix: str) -> None:
    (operators,) = SETTINGS["tool"]["setuptools"]["ext-modules"]
    found = sorted((ROOT / KERNELS).glob(f"*.{suffix}"))
    assert operators[key] == [str(path.relative_to(ROOT)) for path in found]


def wheel(folder: Path, compiler: str) -> tuple[list[str], str]:
    """The names in a wheel of a project with nothing but the operators, and what pip printed."""
    folder.joinpath("inference").mkdir()
    shutil.copytree(ROOT / KERNELS, folder / KERNELS, ignore=shutil.ignore_patterns("*.so"))
    for name in ("README.md", "LICENSE", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--verbose", "--no-deps", "."],
        cwd=folder,
        env=os.environ | {"CC": compiler},
        capture_output=True,
        text=True,
        check=False,
    )
    printed = done.stdout + done.stderr
    if "No matching distribution found for setuptools" in printed:
        pytest.skip("pip gets no setuptools here")
    assert done.returncode == 0, printed[-4000:]
    return ZipFile(next(folder.glob("*.whl"))).namelist(), printed


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc (apt install gcc libc6-dev)")
def test_a_wheel_has_our_operators_and_the_compiler_warns_of_nothing(tmp_path: Path) -> None:
    names, printed = wheel(tmp_path, "gcc")
    assert f"{KERNELS}/{LIBRARY.name}" in names
    assert re.findall(r"^.*\.[ch]:.*: warning: .*$", printed, re.MULTILINE) == []


@pytest.mark.parametrize("compiler", ["false", "no-such-compiler"])
def test_without_a_compiler_that_works_there_is_a_wheel_too(tmp_path: Path, compiler: str) -> None:
    names, _ = wheel(tmp_path, compiler)
    assert not [name for name in names if name.endswith(".so")]
    assert f"{KERNELS}/library.py" in names

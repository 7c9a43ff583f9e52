"""Collected only where Optimum is installed, which is in an environment of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.contract.engine_contract import DEMO_MODEL

ROOT = Path(__file__).parents[2]

collect_ignore_glob = [] if find_spec("optimum") else ["test_*.py"]


def copy_checkpoint(folder: Path) -> Path:
    """The demo model's checkpoint, which transformers 5 saved, without its own graph."""
    return Path(
        shutil.copytree(DEMO_MODEL, folder, ignore=shutil.ignore_patterns("onnx", "openvino"))
    )


def convert(folder: Path) -> subprocess.CompletedProcess[str]:
    """In a process of its own: Optimum warns of much, and warnings are errors here."""
    command = [sys.executable, "-m", "serving.conversion", str(folder), "--engine", "optimum"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copy_checkpoint(tmp_path_factory.mktemp("demo") / "model")
    done = convert(folder)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    return folder

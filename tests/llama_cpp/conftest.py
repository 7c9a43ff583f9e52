"""The demo checkpoint as GGUF files, made once.

Collected only where llama-cpp-python is installed, which is in an environment of its own.
"""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.contract.engine_contract import DEMO_MODEL

collect_ignore_glob = [] if find_spec("llama_cpp") else ["test_*.py"]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the demo checkpoint, with GGUF files of several kinds in its folder gguf/."""
    from serving.conversion.gguf import convert_gguf

    folder = tmp_path_factory.mktemp("models") / "demo"
    shutil.copytree(DEMO_MODEL, folder, ignore=shutil.ignore_patterns("onnx", "openvino"))
    for data_type in ("q8_0", "q5_k_m", "bf16"):
        convert_gguf(folder, data_type=data_type)
    return folder


@pytest.fixture(scope="session")
def q8_0(checkpoint: Path) -> Path:
    return checkpoint / "gguf" / "demo-q8_0.gguf"


@pytest.fixture(scope="session")
def q5_k_m(checkpoint: Path) -> Path:
    return checkpoint / "gguf" / "demo-q5_k_m.gguf"

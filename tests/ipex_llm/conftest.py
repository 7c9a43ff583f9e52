"""Collected only where IPEX-LLM is installed, which is in an environment of its own."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from serving.conversion.request import Request
from tests.contract.engine_contract import DEMO_MODEL

IS_INSTALLED = find_spec("ipex_llm") is not None
collect_ignore_glob = [] if IS_INSTALLED else ["test_*.py"]

FOLDERS = {"int8": "ipex-llm", "int4": "ipex-llm-int4"}
# What old libraries say of each other is no error of ours.
OLD_LIBRARIES = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")

if IS_INSTALLED:  # once, before tests that import parts of it are collected
    from serving.engines.ipex_llm_model import quietly

    with quietly():
        import ipex_llm.transformers  # noqa: F401


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(OLD_LIBRARIES)


def copy_checkpoint(folder: Path) -> Path:
    """The demo model's checkpoint without what was made of it."""
    return Path(
        shutil.copytree(DEMO_MODEL, folder, ignore=shutil.ignore_patterns("onnx", "openvino"))
    )


def convert(folder: Path, data_type: str = "int8") -> Path:
    """As the command does; the result's folder."""
    from serving.conversion.to_ipex_llm import convert as to_ipex_llm

    target = folder / FOLDERS[data_type]
    converted = to_ipex_llm(Request(folder, target, data_type), print)
    print(converted.deviation)
    return converted.folder


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model with both kinds of low-bit weights."""
    folder = copy_checkpoint(tmp_path_factory.mktemp("demo") / "model")
    with quietly():
        for data_type in FOLDERS:
            convert(folder, data_type)
    return folder

"""All tests of this folder carry the marker `gpu` and are skipped, with the reason, without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gpu.machine import gpus_at_first

HERE = Path(__file__).parent
TIMEOUT_S = 1200  # two cold starts of vLLM, and then some


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = [item for item in items if item.path.is_relative_to(HERE)]
    _, reason = gpus_at_first() if ours else ([], "")
    for item in ours:
        item.add_marker(pytest.mark.gpu)
        item.add_marker(pytest.mark.timeout(TIMEOUT_S))
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of every server, which keeps what kernels the first of them has compiled."""
    return tmp_path_factory.mktemp("home")

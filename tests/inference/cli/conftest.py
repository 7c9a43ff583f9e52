"""What the tests of all commands share."""

from __future__ import annotations

import pytest

from tests.inference.cli.command import Command


@pytest.fixture
def anynode(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """`anynode(...)` runs a command without any key of the environment's."""
    for name in ("ANYNODE_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return Command(monkeypatch, capsys)

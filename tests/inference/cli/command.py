"""The `anynode` command in this process, as `main` runs it."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import pytest

from inference.cli.main import main


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str


class Command:
    """Runs commands and catches what they print."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Outcome:
        self._monkeypatch.setattr(sys, "argv", ["anynode", *map(str, arguments)])
        code: object = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code or 0
        caught = self._capsys.readouterr()
        assert isinstance(code, int)
        return Outcome(code, caught.out, caught.err)

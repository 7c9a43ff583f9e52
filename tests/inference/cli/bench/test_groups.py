"""Groups of options become options, and come back as groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from inference.cli.bench.groups import spread


@dataclass(frozen=True)
class Colour:
    red: Annotated[int, typer.Option(min=0, max=255, help="How red.")] = 7
    name: str | None = None


@dataclass(frozen=True)
class Needed:
    size: Annotated[int, typer.Option()]


SEEN: list[object] = []


def paint(where: Annotated[str, typer.Argument()], colour: Colour, twice: bool = False) -> None:
    """Paint it."""
    SEEN.append((where, colour, twice))


def measure(needed: Needed) -> None:
    SEEN.append(needed)


def run(function, *arguments):
    app = typer.Typer()
    app.command()(spread(function))
    SEEN.clear()
    return CliRunner().invoke(app, arguments)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["wall"], ("wall", Colour(), False)),
        (["wall", "--red", "9", "--twice"], ("wall", Colour(9), True)),
        (["--name", "x", "wall"], ("wall", Colour(7, "x"), False)),
    ],
)
def test_a_group_is_filled_from_its_options(arguments, expected):
    assert run(paint, *arguments).exit_code == 0
    assert [expected] == SEEN


def test_help_and_limits_are_those_of_the_fields():
    shown = run(paint, "--help").output
    assert "Paint it." in shown
    assert "How red." in shown
    assert run(paint, "wall", "--red", "256").exit_code == 2


def test_a_field_without_a_default_is_required():
    assert run(measure).exit_code == 2
    assert run(measure, "--size", "3").exit_code == 0
    assert [Needed(3)] == SEEN

"""`anynode migrate`: a YAML of 2023 as one of today, as a diff or in place."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from inference.check import report
from inference.check.files import STDIN, read
from inference.check.finding import errors
from inference.migrate.migration import migrate as migrated
from serving.errors import ConfigError

LEFT = 1

console = Console(stderr=True, highlight=False)


def migrate(
    file: Annotated[
        str, typer.Argument(help="A Serve config or a RayService manifest; - reads stdin.")
    ],
    write: Annotated[bool, typer.Option("--write", help="Change the file itself.")] = False,
) -> None:
    """Rewrite a Serve config or RayService manifest of 2023 for today.

    Exit codes: 0 the result passes `anynode check`, 1 errors in it are left to decide, 2 a file
    that cannot be used.
    """
    if write and file == STDIN:
        raise ConfigError("--write: standard input is no file to change; leave --write out")
    result = migrated(read(file), file)
    if result.diff:
        print(result.diff)
    for note in result.notes:
        console.print(note, style="dim", markup=False, soft_wrap=True)
    if write and result.after != result.before:
        replace_text(Path(file), result.after)
    if result.undecided:
        console.print("left to decide:", style="bold")
        report.print_text(result.undecided, console)
    if errors(result.undecided):
        raise typer.Exit(LEFT)


def replace_text(path: Path, text: str) -> None:
    """Write a file at once, or not at all; what a link points to is what is written."""
    path = path.resolve()
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        shutil.copymode(path, name)
        Path(name).replace(path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise ConfigError(f"{path}: {error.strerror}; it is as it was") from error

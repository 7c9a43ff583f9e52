"""`anynode bench report`: a stored result in all its forms again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from inference.bench.report import files
from inference.cli.bench import session
from inference.cli.bench.options import Output

File = Annotated[Path, typer.Argument(metavar="FILE.json", help="What a bench command wrote.")]


def report(file: File, output: Output = None) -> None:
    """Show a stored result again, and write its page, tables and Markdown."""
    session.publish(files.read(file), output)

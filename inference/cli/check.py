"""`anynode check`: what Ray and Kubernetes would pass over in silence, said before."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from inference.check import report
from inference.check.files import check_files
from inference.check.finding import errors

FOUND = 1


def check(
    files: Annotated[
        list[str],
        typer.Argument(help="Serve configs and manifests that belong together; - reads stdin."),
    ],
    output: Annotated[
        report.Format,
        typer.Option("--format", help="For people, programs, or annotations of a change."),
    ] = "text",
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
) -> None:
    """Check Serve configs and RayService manifests before Ray or Kubernetes sees them.

    Exit codes: 0 nothing that will not work, 1 errors (with --strict, warnings too), 2 a file that
    cannot be used.
    """
    findings = check_files(files)
    if output == "text":
        report.print_text(findings, Console(highlight=False))
    else:
        print(report.as_json(findings) if output == "json" else report.as_github(findings))
    if findings if strict else errors(findings):
        raise typer.Exit(FOUND)

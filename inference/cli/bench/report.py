"""`anynode bench report`: a stored report, rendered again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from inference.bench.report import files
from inference.bench.report.model import Report
from inference.bench.report.templates import TEMPLATES, TemplateName
from inference.cli.bench import options, session

File = Annotated[Path, typer.Argument(help="The .json that --output wrote.")]
Template = Annotated[
    TemplateName | None,
    typer.Option(help="Print the table of an older tool instead."),
]


def report(file: File, output: options.Output = None, template: Template = None) -> None:
    """Render a stored report again, or as the table of an older tool."""
    found = files.read(file)
    if output is not None:
        files.check_writable(output)
    if template is None:
        session.publish(found, output)
    else:
        publish_table(found, template, output)


def publish_table(report: Report, template: TemplateName, output: Path | None) -> None:
    """Markdown on standard output; with a prefix, PREFIX.TEMPLATE.csv beside the usual files."""
    table = TEMPLATES[template](report)
    print(table.markdown())
    if output is not None:
        written = files.write(report, output)
        path = output.with_name(f"{output.name}.{template}.csv")
        files.write_whole(path, table.csv())
        for each in (*written, path):
            print(f"wrote {each}", file=sys.stderr)

"""A report as one HTML page: no script, no network, light, dark and on paper.

Needs matplotlib, so only those who write pages import this.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup

from inference.bench.report import columns, headline, sections
from inference.bench.report.headline import Tile
from inference.bench.report.model import Report, RunReport
from inference.bench.report.plots.galleries import galleries
from inference.bench.report.plots.gallery import Gallery, Plot
from inference.bench.report.table import Column, Table

HERE = Path(__file__).parent


def render(report: Report) -> str:
    """The whole page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("page.html.j2").render(
        report=report,
        style=Markup((HERE / "page.css").read_text(encoding="utf-8")),
        sentence=headline.sentence(report),
        verdict=report.comparison.verdict if report.comparison else "",
        tiles=headline.tiles(report),
        warnings=headline.warnings(report),
        runs=main_table(report),
        galleries=[Shown.of(each, at) for at, each in enumerate(galleries(report))],
        tables=tables(report),
        notes=headline.notes(report),
        origin=sections.origin(report),
        settings=sections.settings(report.settings),
        command=shlex.join(report.command),
    )

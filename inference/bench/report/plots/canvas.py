"""One small plot as SVG for inside a page: colours and fonts are the page's own.

Drawn through matplotlib's object API, which shares no state with other users of the library.
"""

from __future__ import annotations

import io
import re
from contextlib import AbstractContextManager
from html import escape

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

WIDTH = 300.0  # of the view box; shown about as many CSS pixels wide
HEIGHT = 190.0
FONT_SIZE = 11.0
MARGIN_LEFT, MARGIN_RIGHT, MARGIN_BOTTOM, MARGIN_TOP = 46.0, 12.0, 38.0, 12.0
POINTS_PER_INCH = 72
ROUND = [1, 2, 2.5, 5, 10]  # steps between ticks

TEXT = "var(--text)"
MUTED = "var(--muted)"
GRID = "var(--grid)"


def _style() -> AbstractContextManager[None]:
    """Matplotlib's settings, for as long as we draw."""
    return matplotlib.rc_context(
        {
            "svg.fonttype": "none",  # text stays text
            "svg.hashsalt": "anynode",  # the same report gives the same file
            "font.size": FONT_SIZE,
        }
    )


class Canvas:
    """Axes without decoration; colours are CSS, asked for with `ink`."""

    def __init__(
        self, x_label: str = "", height: float = HEIGHT, left: float = MARGIN_LEFT
    ) -> None:
        self._inks: dict[str, str] = {}
        with _style():
            self._figure = Figure(figsize=(WIDTH / POINTS_PER_INCH, height / POINTS_PER_INCH))
            self.axes: Axes = self._figure.add_axes(
                (
                    left / WIDTH,
                    MARGIN_BOTTOM / height,
                    1 - (left + MARGIN_RIGHT) / WIDTH,
                    1 - (MARGIN_BOTTOM + MARGIN_TOP) / height,
                )
            )
            self._decorate(x_label)

    def _decorate(self, x_label: str) -> None:
        axes = self.axes
        self._figure.patch.set_visible(False)
        axes.patch.set_visible(False)
        axes.spines[["left", "right", "top"]].set_visible(False)
        axes.spines["bottom"].set_color(self.ink(GRID))
        axes.tick_params(length=0, pad=6, colors=self.ink(MUTED))
        axes.grid(axis="y", color=self.ink(GRID), linewidth=0.8)
        axes.set_axisbelow(True)
        axes.set_xlabel(x_label, color=self.ink(MUTED), labelpad=4)
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=ROUND))
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=ROUND))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(tick))

    def note(self, x: float, y: float, words: str, *, beside: bool) -> None:
        """Words above a point of the data, or at its right."""
        self.axes.annotate(
            words,
            (x, y),
            xytext=(7, -4) if beside else (0, 9),
            textcoords="offset points",
            color=self.ink(MUTED),
            ha="left" if beside else "center",
            parse_math=False,
        )

    def label(self, x: float, y: float, words: str, ha: str = "left", colour: str = MUTED) -> None:
        """Words beside the data: `x` is 0 at the left edge and 1 at the right one."""
        self.axes.text(
            x,
            y,
            words,
            transform=self.axes.get_yaxis_transform(),
            color=self.ink(colour),
            ha=ha,
            va="center",
            parse_math=False,  # a name may hold a dollar sign
        )

    def ink(self, css: str) -> str:
        """A colour that only stands for `css` until the SVG is written."""
        return self._inks.setdefault(css, f"#f0{len(self._inks):04x}")

    def svg(self, name: str, alt: str) -> str:
        """`name` makes its ids unique in a page; `alt` says in words what it shows."""
        file = io.StringIO()
        with _style():
            self._figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
        return inlined(file.getvalue(), name, alt, {ink: css for css, ink in self._inks.items()})


def tick(value: float, _: int | None = None) -> str:
    """`12,000` and `0.3`."""
    return f"{value:,.9g}"


# What only a file needs, or what the page's own style says.
SURPLUS = re.compile(
    r"<metadata>.*?</metadata>|<style.*?</style>|<defs>\s*</defs>|<!--.*?-->|<g/>"
    r"|font(?:-size|-family)?: [^;\"]*; | transform=\"rotate\(-?0 [^\"]*\"",
    re.DOTALL,
)


def inlined(whole: str, name: str, alt: str, colours: dict[str, str]) -> str:
    """The `<svg>` for a page, of a file that matplotlib wrote. Pure."""
    found = re.search(r'viewBox="([^"]*)".*?>(.*)</svg>', whole, re.DOTALL)
    assert found, "matplotlib writes a viewBox"
    view_box, body = found.groups()
    body = SURPLUS.sub("", body).replace("xlink:href", "href")
    body = SURPLUS.sub("", body)  # groups and definitions that are empty now
    body = re.sub(r' (?:d|x|y|width|height|points)="[^"]*"', _rounded, body)
    body = _own_ids(body, name)
    for ink, css in colours.items():
        body = body.replace(ink, css)
    body = re.sub(r"\s*\n\s*", "\n", body)
    return f'<svg viewBox="{view_box}" role="img" aria-label="{escape(alt)}">{body}</svg>'


def _rounded(attribute: re.Match[str]) -> str:
    """A hundredth of a pixel is enough."""
    return re.sub(r"(\.\d\d)\d+", r"\1", attribute[0])


def _own_ids(body: str, name: str) -> str:
    """Ids that something refers to get `name` in front; the others go."""
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', body))

    def renamed(match: re.Match[str]) -> str:
        return f' id="{name}-{match[1]}"' if match[1] in used else ""

    body = re.sub(r' id="([^"]+)"', renamed, body)
    return re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", body)

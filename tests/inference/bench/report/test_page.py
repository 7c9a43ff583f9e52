"""The page in a real browser: in light, dark and on paper, wide and narrow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page

from inference.bench.report import page
from inference.bench.report.model import Report
from tests.browser import chromium
from tests.inference.bench.report import sample

REPORTS = {
    "sweep": sample.sweep(),
    "compared": sample.compared((1, 8)),
    "nothing": sample.nothing_answered(),
    "interrupted": sample.interrupted(),
}
LOOKS = ("light", "dark", "print")
Look = Literal["light", "dark", "print"]

# Every text that is seen, with its colour, that of what lies behind it, and their contrast as WCAG
# 2.2 defines it. A canvas turns any CSS colour into bytes.
CONTRASTS = """
() => {
  const context = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const known = {};
  const bytes = (colour) => (known[colour] ??= read(colour));
  const read = (colour) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (colour) => {
    const [r, g, b] = bytes(colour).map((byte) => {
      const share = byte / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor;
      if (bytes(colour)[3] === 255) return colour;
    }
    return "white";
  };
  const found = [];
  for (const element of document.body.querySelectorAll("*")) {
    const own = [...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE);
    const text = own.map((node) => node.data).join("").trim();
    if (!text || element.closest("style")) continue;
    const inPlot = element instanceof SVGElement;
    const style = getComputedStyle(element);
    const colour = inPlot ? style.fill : style.color;
    const pair = [luminance(colour), luminance(behind(element))].sort((a, b) => b - a);
    found.push({text, inPlot, colour, contrast: (pair[0] + 0.05) / (pair[1] + 0.05)});
  }
  return found;
}
"""

# Of every figure: the size of its plot, the words that stand for it, and its caption.
PLOTS = """
[...document.querySelectorAll("figure")].map((figure) => {
  const plot = figure.querySelector("svg[role=img]");
  const {width, height} = plot.getBoundingClientRect();
  return [width, height, plot.getAttribute("aria-label"), figure.innerText.trim()];
})
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every report as a file."""
    folder = tmp_path_factory.mktemp("pages")
    return {name: written(report, folder / f"{name}.html") for name, report in REPORTS.items()}


def written(report: Report, path: Path) -> Path:
    path.write_text(page.render(report), encoding="utf-8")
    return path


@contextmanager
def opened(browser: Browser, path: Path, look: Look = "light", width: int = 1400) -> Iterator[Page]:
    """A page from its file; anything that a careful page never does fails the test."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="light" if look == "light" else "dark",
    )
    complaints: list[str] = []
    requests: list[str] = []
    try:
        tab = context.new_page()
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("request", lambda request: requests.append(request.url))
        if look == "print":
            tab.emulate_media(media="print")
        tab.goto(path.as_uri())
        yield tab
        assert complaints == []
        assert requests == [path.as_uri()]
    finally:
        context.close()


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("name", REPORTS)
def test_all_text_can_be_read(
    browser: Browser, pages: dict[str, Path], name: str, look: Look
) -> None:
    with opened(browser, pages[name], look) as tab:
        found = tab.evaluate(CONTRASTS)
    assert len(found) > 20
    assert any(each["inPlot"] for each in found)
    assert [each for each in found if each["contrast"] < 4.5] == []


def test_dark_is_dark_and_paper_is_light(browser: Browser, pages: dict[str, Path]) -> None:
    backgrounds = {}
    for look in LOOKS:
        with opened(browser, pages["sweep"], look) as tab:
            backgrounds[look] = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert backgrounds["light"] == backgrounds["print"] == "rgb(253, 253, 252)"
    assert backgrounds["dark"] == "rgb(19, 20, 22)"


@pytest.mark.parametrize("name", REPORTS)
def test_nothing_is_wider_than_the_window(
    browser: Browser, pages: dict[str, Path], name: str
) -> None:
    with opened(browser, pages[name]) as tab:
        for width in (360, 768, 1400):
            tab.set_viewport_size({"width": width, "height": 900})
            assert tab.evaluate("document.documentElement.scrollWidth") == width


def test_a_wide_table_scrolls_in_its_box(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["sweep"], width=360) as tab:
        box = tab.locator(".scroll", has=tab.locator(".runs"))
        inner, outer = box.evaluate("box => [box.scrollWidth, box.clientWidth]")
        assert outer <= 360 < inner


@pytest.mark.parametrize("name", REPORTS)
def test_every_plot_is_seen_and_said(browser: Browser, pages: dict[str, Path], name: str) -> None:
    with opened(browser, pages[name]) as tab:
        for look in LOOKS:
            tab.emulate_media(
                media="print" if look == "print" else "screen",
                color_scheme="dark" if look == "dark" else "light",
            )
            plots = tab.evaluate(PLOTS)
            assert plots
            for width, height, words, caption in plots:
                assert width > 150
                assert height > 50
                assert len(words) > 20
                assert caption


def test_ids_are_unique_and_everything_referred_to_is_there(
    browser: Browser, pages: dict[str, Path]
) -> None:
    with opened(browser, pages["compared"]) as tab:
        ids = tab.evaluate("[...document.querySelectorAll('[id]')].map(each => each.id)")
        assert ids
        assert len(set(ids)) == len(ids)
        lost = "[...document.querySelectorAll('use')].filter(each => !each.getBBox().width).length"
        assert tab.evaluate(lost) == 0


def test_headings_are_in_order_and_tables_have_scopes(
    browser: Browser, pages: dict[str, Path]
) -> None:
    with opened(browser, pages["compared"]) as tab:
        levels = "[...document.querySelectorAll('h1, h2, h3')].map(each => each.tagName)"
        first, *others = tab.evaluate(levels)
        assert first == "H1"
        assert set(others) == {"H2"}
        assert tab.locator("th:not([scope])").count() == 0
        assert tab.locator("tbody tr").count() == tab.locator("tbody th[scope=row]").count()


def test_the_verdict_is_seen(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["compared"], width=360) as tab:
        assert tab.locator(".sentence").inner_text().startswith("Verdict: fail.")
        assert tab.locator(".tiles .fail").is_visible()
        assert tab.locator("td.pass").first.is_visible()


def test_the_knee_and_warnings_are_marked(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["sweep"]) as tab:
        assert tab.locator("tr", has=tab.locator(".mark")).inner_text().startswith("concurrency 16")
    with opened(browser, pages["interrupted"]) as tab:
        assert sample.OVERLOADED in tab.locator(".warning").inner_text()


def test_other_figures_make_another_page(browser: Browser, tmp_path: Path) -> None:
    def seen(report: Report) -> tuple[str, str, str]:
        with opened(browser, written(report, tmp_path / "page.html")) as tab:
            plot = tab.locator("figure svg").first.inner_html()
            row = tab.locator(".runs tbody tr").first.inner_text()
            return tab.locator(".tiles").inner_text(), row, plot

    before, after = seen(sample.single()), seen(sample.single(pace=2.0))
    assert all(a != b for a, b in zip(before, after, strict=True))
    assert "485" in before[0]
    assert "242" in after[0]


def test_what_others_wrote_stays_text(browser: Browser, tmp_path: Path) -> None:
    evil = "<script>document.title='x'</script><b>&amp;$x$"
    report = sample.compared()
    report.title = report.runs[0].name = evil
    report.servers[0].models = [evil]
    report.runs[0].requests.errors = sample.nothing_answered().runs[0].requests.errors
    report.runs[0].requests.errors[0].example = evil
    assert report.comparison is not None
    report.comparison.gates[0].gate = evil
    with opened(browser, written(report, tmp_path / "page.html")) as tab:
        assert tab.title() == evil
        assert tab.locator("h1").inner_text() == evil
        assert tab.locator("b, script").count() == 0


def test_the_page_needs_no_script() -> None:
    text = page.render(REPORTS["sweep"])
    assert "<script" not in text
    assert "default-src 'none'" in text
    assert len(text) < 200_000

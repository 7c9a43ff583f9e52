"""A real browser for tests that look at pages: the system's own, driven by playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--no-sandbox",  # containers have none
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]


def executable() -> str:
    """What $BROWSER names, else the first Chromium there is."""
    named = os.environ.get("BROWSER")
    found = [path for name in ((named,) if named else NAMES) if (path := shutil.which(name))]
    assert found, "these tests open pages in Chromium: install it (Debian: apt install chromium)"
    return found[0]


@contextmanager
def chromium() -> Iterator[Browser]:
    """One browser, gone when the block ends."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()

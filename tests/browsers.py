"""A real browser for tests of pages, without a window."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_WITHIN = 20_000  # milliseconds until a test gives up; a busy machine is slow


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the system's Chromium; skip the test where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    with playwright.sync_playwright() as started:
        # Without its sandbox, which root cannot use.
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Browser, url: str, *, width: int = 1280, height: int = 900) -> Iterator[Page]:
    """Open a page in a new window of its own.

    At the end it is asserted that the page has printed no error and has requested nothing from
    elsewhere.
    """
    context = browser.new_context(viewport={"width": width, "height": height})
    context.set_default_timeout(_WITHIN)
    page = context.new_page()
    wrong: list[str] = []
    home = urlsplit(url)

    def requested(request: Request) -> None:
        target = urlsplit(request.url)
        if target.scheme != "data" and (target.scheme, target.netloc) != home[:2]:
            wrong.append(f"requested {request.url}")

    page.on("request", requested)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda line: line.type == "error" and wrong.append(line.text))
    try:
        page.goto(url)
        yield page
        assert wrong == []
    finally:
        context.close()

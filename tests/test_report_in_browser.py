"""A report in a browser: no request, no error, no overflow; titles stay text."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from browsers import opened
from planted import planted_split
from test_report import HOSTILE, SETTINGS, write_hostile_titles

from mfcli.config import Config
from mfcli.evaluation import evaluate
from mfcli.reports import report
from mfcli.training import fit

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = {"gibbs": "gibbs", "ranking": HOSTILE[0], "sgd": HOSTILE[1] * 4}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a report of several runs with hostile names and titles."""
    folder = tmp_path_factory.mktemp("report")
    parts = planted_split(Config(valid=0.1))
    for run, config in SETTINGS.items():
        fitted = fit(parts, config)
        fitted.write(folder / run)
        measured = evaluate(fitted.model, parts, Config(resamples=20, at=(5, 10)), ranking=True)
        measured.write(folder / run / "metrics.json")
    titles = folder / "titles.parquet"
    write_hostile_titles(titles)
    runs = {name: folder / run for run, name in NAMES.items()}
    made = report(runs, split=parts, titles=titles)
    return made.write(folder / "report.html").as_uri()


def evaluated(page: Page, code: str) -> Any:
    return page.evaluate(code)


@pytest.mark.parametrize("width", [320, 400, 800, 1600])
def test_nothing_is_wider_than_the_window(browser: Browser, page: str, width: int) -> None:
    with opened(browser, page, width=width) as shown:
        assert evaluated(shown, "document.documentElement.scrollWidth") <= width


def test_it_fits_on_paper(browser: Browser, page: str) -> None:
    with opened(browser, page, width=680) as shown:  # A4 with margins of 15 mm
        shown.emulate_media(media="print")
        assert evaluated(shown, "document.documentElement.scrollWidth") <= 680
        assert not shown.locator("nav").is_visible()
        assert shown.pdf(format="A4").startswith(b"%PDF")


def test_headings_are_in_order_and_links_lead_to_sections(browser: Browser, page: str) -> None:
    with opened(browser, page) as shown:
        levels = evaluated(
            shown, "[...document.querySelectorAll('h1,h2,h3,h4')].map(e => e.tagName)"
        )
        numbers = [int(level[1]) for level in levels]
        assert numbers[0] == 1
        assert numbers.count(1) == 1
        assert all(after <= before + 1 for before, after in itertools.pairwise(numbers))
        links = shown.locator("nav a")
        assert links.count() == 10
        for number in range(links.count()):
            links.nth(number).click()
            anchor = links.nth(number).get_attribute("href") or ""
            assert shown.url.endswith(anchor)
            assert shown.locator(anchor).locator("h2").first.is_visible()
        empty = (
            "[...document.querySelectorAll('h1,h2,h3,h4,th')].filter(e => !e.textContent.trim())"
        )
        assert evaluated(shown, f"{empty}.length") == 0


def test_names_and_titles_stay_text(browser: Browser, page: str) -> None:
    with opened(browser, page) as shown:
        dialogs: list[str] = []
        shown.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        text = evaluated(shown, "document.querySelector('#examples').textContent")
        for title in HOSTILE:
            assert title.replace("\x00", "\ufffd") in text
        assert evaluated(shown, "document.images.length") == 0
        assert shown.title().endswith(" and " + NAMES["sgd"]) or HOSTILE[0] in shown.title()
        # A right-to-left override reorders no text outside of its own element.
        assert evaluated(shown, "document.body.textContent.match(/\\u202e/g).length") == evaluated(
            shown,
            "[...document.querySelectorAll('bdi')].map(e => e.textContent).join('')"
            ".match(/\\u202e/g).length",
        )
        assert dialogs == []


def test_charts_show_their_numbers(browser: Browser, page: str) -> None:
    with opened(browser, page) as shown:
        charts = shown.locator("figure")
        assert charts.count() > 10
        for number in range(charts.count()):
            assert charts.nth(number).locator("svg[role=img]").count() == 1
            assert charts.nth(number).locator("details table").count() == 1
        chart = charts.filter(has_text=re.compile("Error by rating"))
        before = chart.inner_text()
        drawing = chart.locator("svg[role=img]")
        box = drawing.bounding_box()
        assert box
        drawing.hover(position={"x": box["width"] / 2, "y": box["height"] / 2})
        assert chart.inner_text() != before  # the tooltip


def test_commands_can_be_copied(browser: Browser, page: str) -> None:
    with opened(browser, page) as shown:
        shown.context.grant_permissions(["clipboard-read", "clipboard-write"])
        button = shown.locator(".copy")
        button.click()
        shown.wait_for_function("document.querySelector('.copy').textContent !== 'Copy'")
        commands = shown.locator(".commands pre").inner_text()
        assert commands.startswith("mfcli split ")
        if button.inner_text() == "Copied":
            assert evaluated(shown, "navigator.clipboard.readText()") == commands
        else:
            assert evaluated(shown, "getSelection().toString()").strip() == commands.strip()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_have_contrast(browser: Browser, page: str, scheme: Any) -> None:
    with opened(browser, page) as shown:
        shown.emulate_media(color_scheme=scheme)
        colors = evaluated(
            shown,
            "[...document.querySelectorAll('.lead, td, th, a, small, .tag, .key span')].map(e =>"
            " getComputedStyle(e).color)",
        )
        background = evaluated(shown, "getComputedStyle(document.body).backgroundColor")
        for color in set(colors):
            assert contrast(color, background) >= 4.5, color


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colors, as the Web Content Accessibility Guidelines define it."""
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def luminance(color: str) -> float:
    parts = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return sum(weight * x for weight, x in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_the_report_is_a_file_without_others(page: str) -> None:
    assert page.startswith("file://")
    assert [path.suffix for path in Path(page.removeprefix("file://")).parent.glob("*.html")] == [
        ".html"
    ]

"""Pages and charts in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

import pytest
from browsers import opened
from markupsafe import Markup

from mfcli.pages import (
    Axis,
    Bars,
    Interval,
    Line,
    asset,
    bar_chart,
    document,
    interval_chart,
    line_chart,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FloatRect, Locator, Page

HOSTILE = "<img src=x onerror=alert(1)>\"'</figure>\n\0\ud800\u202e\u2066" + "long " * 2000
X, LOG = Axis("epoch"), Axis("count", log=True)
DECADES = [f"{n}-{n + 9}" for n in range(20)]
MONTHS = [31 * 86400.0 * month for month in range(300)]

CHARTS = [
    line_chart(
        "Validation",
        [
            Line("first", list(range(1, 11)), [1 / n for n in range(1, 11)]),
            Line("second", list(range(1, 11)), [2 / n for n in range(1, 11)], [0] * 10, [2] * 10),
        ],
        X,
        Axis("RMSE"),
    ),
    bar_chart("Bars", DECADES, [Bars("a", range(20)), Bars("b", range(20))], "x", X),
    interval_chart("Intervals", [Interval("one", 0, -1, 1), Interval(HOSTILE, 1, 0, 2)], X),
    line_chart("Months", [Line("a", MONTHS, MONTHS)], Axis("month", time=True), X),
    line_chart("Log", [Line("a", [1, 2e7], [1e-12, 1e12])], LOG, LOG),
    bar_chart("Titles", ["Toy Story (1995)", HOSTILE, "c"], [Bars("a", [3, 2, 1])], "title", X),
    line_chart("Long", [Line("a", range(9000), range(9000))], Axis("users"), Axis("ratings")),
    line_chart(HOSTILE, [Line(HOSTILE, [1], [1]), Line("b", [2], [2])], Axis(HOSTILE), X),
    line_chart("Nothing", [], X, X),
]


class Opened(Protocol):
    def __call__(self, *, width: int = ..., height: int = ...) -> AbstractContextManager[Page]: ...


@pytest.fixture(scope="module")
def page_of(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """Open a document of all charts, in a window of a width."""
    path = tmp_path_factory.mktemp("page") / "page.html"
    body = Markup("<h1>Charts</h1>") + Markup("").join(chart.markup for chart in CHARTS)
    styles = [asset("base.css"), asset("charts.css")]
    whole = document(HOSTILE, body, styles=styles, scripts=[asset("charts.js")])
    path.write_text(whole, encoding="utf-8")

    def open_(*, width: int = 1280, height: int = 900) -> AbstractContextManager[Page]:
        return opened(browser, path.as_uri(), width=width, height=height)

    return open_


@pytest.fixture
def page(page_of: Opened) -> Iterator[Page]:
    with page_of() as page:
        yield page


def figure(page: Page, title: str) -> Locator:
    return page.locator("figure", has=page.locator("figcaption", has_text=title)).first


def box_of(locator: Locator) -> FloatRect:
    locator.scroll_into_view_if_needed()
    box = locator.bounding_box()
    assert box is not None
    return box


def point(drawing: Locator, across: float, down: float = 0.5) -> tuple[float, float]:
    """Return the place in the window of a point of a drawing."""
    box = box_of(drawing)
    return box["x"] + across * box["width"], box["y"] + down * box["height"]


def shown(chart: Locator) -> list[str]:
    """Return the texts of the tip."""
    tip = chart.locator(".chart-tip")
    tip.wait_for(state="visible")
    return [text for text in tip.locator("bdi, small").all_inner_texts() if text]


def test_numbers_on_hover(page: Page) -> None:
    chart = figure(page, "Validation")
    page.mouse.move(*point(chart.locator(".chart-drawing"), 1 / 9))
    assert shown(chart) == ["2", "first", "0.5000", "second", "1.0000", "0.0000 to 2.0000"]
    page.mouse.move(*point(chart.locator(".chart-drawing"), 0.99))
    assert shown(chart)[:3] == ["10", "first", "0.1000"]
    assert chart.locator(".chart-dot").count() == 2
    dot, drawing = (box_of(chart.locator(f".{n}").first) for n in ("chart-dot", "chart-drawing"))
    assert dot["x"] + dot["width"] / 2 == pytest.approx(drawing["x"] + drawing["width"], abs=1)
    page.mouse.move(1, 1)
    chart.locator(".chart-tip").wait_for(state="hidden")
    assert chart.locator(".chart-dot").count() == 0


def test_numbers_of_bars_and_rows(page: Page) -> None:
    bars = figure(page, "Bars")
    page.mouse.move(*point(bars.locator(".chart-drawing"), 3.5 / 20))
    assert shown(bars) == ["3-12", "a", "3", "b", "3"]
    rows = figure(page, "Intervals")
    page.mouse.move(*point(rows.locator(".chart-drawing"), 0.5, 0.25))
    assert shown(rows) == ["one", "epoch", "0", "\u22121 to 1"]
    page.mouse.move(*point(rows.locator(".chart-drawing"), 0.5, 0.75))
    assert shown(rows)[0].startswith("<img src=x onerror=alert(1)>")


def test_keys_move_through_the_points(page: Page) -> None:
    chart = figure(page, "Validation")
    plot, status = chart.locator(".chart-plot"), chart.locator("[role=status]")
    for _ in range(3):  # until the first chart has the focus
        page.keyboard.press("Tab")
        if plot.evaluate("plot => plot === document.activeElement"):
            break
    page.keyboard.press("ArrowRight")
    assert shown(chart)[0] == "1"
    assert status.inner_text().startswith("1, first 1.0000")
    page.keyboard.press("ArrowRight")
    assert shown(chart)[0] == "2"
    page.keyboard.press("End")
    page.keyboard.press("ArrowDown")  # there is no further point
    assert status.inner_text() == "10, first 0.1000 , second 0.2000 0.0000 to 2.0000"
    page.keyboard.press("PageUp")
    assert shown(chart)[0] == "1"
    page.keyboard.press("Escape")
    chart.locator(".chart-tip").wait_for(state="hidden")
    assert status.inner_text() == ""
    page.keyboard.press("ArrowRight")
    assert shown(chart)[0] == "1"
    page.keyboard.press("Tab")
    chart.locator(".chart-tip").wait_for(state="hidden")


def test_numbers_on_touch(page: Page) -> None:
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setTouchEmulationEnabled", {"enabled": True})

    def tap(x: float, y: float) -> None:
        touch = {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]}
        session.send("Input.dispatchTouchEvent", touch)
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    chart = figure(page, "Validation")
    tap(*point(chart.locator(".chart-drawing"), 4 / 9))
    assert shown(chart)[:3] == ["5", "first", "0.2000"]  # it stays when the finger is lifted
    caption = box_of(chart.locator("figcaption"))
    tap(caption["x"] + 5, caption["y"] + 5)
    chart.locator(".chart-tip").wait_for(state="hidden")


OUTSIDE = """() => [...document.querySelectorAll("body *")]
  .filter((e) => e.checkVisibility() && !e.closest(".visually-hidden, .chart-room, .scroll"))
  .filter((e) => !(e.closest("svg") && !e.closest("text")))
  .filter((e) => e.getBoundingClientRect().right > innerWidth + 0.5 ||
    e.getBoundingClientRect().left < -0.5)
  .map((e) => `${e.tagName} ${e.getAttribute("class")} ${e.textContent.slice(0, 40)}`)"""

OVERLAPPING = """() => [...document.querySelectorAll(".chart-drawing")].flatMap((drawing) => {
  const boxes = [...drawing.querySelectorAll("text")]
    .filter((e) => e.checkVisibility())
    .map((e) => [e.textContent, e.getBoundingClientRect()]);
  return boxes.flatMap(([a, p], n) => boxes.slice(n + 1)
    .filter(([, q]) => p.left < q.right && q.left < p.right && p.top < q.bottom - 2 &&
      q.top < p.bottom - 2)
    .map(([b]) => `${a} | ${b}`));
})"""


@pytest.mark.parametrize("width", [320, 400, 700, 1600])
def test_everything_has_room(page_of: Opened, width: int) -> None:
    """Nothing reaches out of the window, and texts in drawings neither overlap nor shrink."""
    with page_of(width=width) as page:
        page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.evaluate(OUTSIDE) == []
        assert page.evaluate(OVERLAPPING) == []
        heights = page.locator(".chart-drawing text:visible").evaluate_all(
            "all => all.map(one => one.getBoundingClientRect().height)"
        )
        assert min(heights) > 11
        chart = figure(page, "Validation")
        page.mouse.move(*point(chart.locator(".chart-drawing"), 0.5))
        shown(chart)
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.evaluate(OUTSIDE) == []


def background(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_dark_and_light_and_print(page: Page) -> None:
    page.emulate_media(color_scheme="light")
    assert background(page) == "rgb(251, 251, 250)"
    page.emulate_media(color_scheme="dark")
    assert background(page) == "rgb(21, 24, 28)"
    page.emulate_media(color_scheme="dark", media="print")
    assert background(page) == "rgb(255, 255, 255)"
    assert page.locator("summary:visible").count() == 0
    page.emulate_media(media="screen")
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_readers_get_names_and_tables(page: Page) -> None:
    """The tree of accessibility has the names of charts, their description and their numbers."""
    chart = figure(page, "Validation")
    chart.locator("summary").click()
    tree = chart.aria_snapshot()
    assert 'application "Validation"' in tree
    assert 'img "Validation Line chart of' in tree
    assert 'columnheader "second, low"' in tree
    assert 'rowheader "10"' in tree


def test_titles_stay_text(page: Page) -> None:
    assert page.locator("img").count() == 0
    assert page.title().startswith("<img src=x onerror=alert(1)>")

"""The page of the server, in a real browser."""

from __future__ import annotations

import json
import re
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from browsers import opened

import mfcli
from mfcli.data import ratings_from
from mfcli.splits import read_split, write_split

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

pytest.importorskip("starlette", reason="Starlette is not installed")
uvicorn = pytest.importorskip("uvicorn", reason="uvicorn is not installed")
from mfcli.server import application  # noqa: E402

USERS, ITEMS = 24, 16
SCRIPT = "<img src=x onerror=\"document.title='hacked'\"><script>alert(1)</script>"
OVERRIDE = "abc \u202e gnp.exe"
LONG = "Very long " * 500
NUL = "Before \0 after"
SLASH = "a/b ? #1 %41 <b>"  # an item's id
TITLES = {"i1": SCRIPT, "i2": OVERRIDE, "i3": LONG, SLASH: "Slash", "i5": NUL}


def _item(number: int) -> str:
    return SLASH if number == 4 else f"i{number}"


def _ratings() -> dict[str, list[Any]]:
    """Half of the users like the even items, the other half the odd ones."""
    random = np.random.default_rng(7)
    rows: dict[str, list[Any]] = {"user": [], "item": [], "rating": [], "timestamp": []}
    for user in range(USERS):
        for number in range(ITEMS):
            # User 0 has rated everything; popular items have low numbers.
            if user and random.random() < number / ITEMS:
                continue
            likes = (user + number) % 2 == 0
            rating = float(random.choice([4, 4.5, 5] if likes else [0.5, 1, 2]))
            new = {"user": user, "item": _item(number), "rating": rating}
            for name, value in {**new, "timestamp": 10**9 + 10**6 * number}.items():
                rows[name].append(value)
    return rows


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve an application in a thread; yield its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A model of ratings with text ids, hostile titles and a split."""
    folder = tmp_path_factory.mktemp("site")
    write_split(folder / "split", mfcli.split(_ratings(), mfcli.Config(test=0.1)))
    parts = read_split(folder / "split")
    mfcli.fit(parts, mfcli.Config(k=3, epochs=5, optimizer="als")).write(folder)
    items = [_item(number) for number in range(ITEMS)]
    names = [TITLES.get(item, f"Title {number}") for number, item in enumerate(items)]
    titles = folder / "titles.parquet"  # text files cannot have NUL
    pq.write_table(pa.table({"item": items, "title": names}), titles)
    with serving(application(folder, split=folder / "split", titles=titles)) as url:
        yield url


@pytest.fixture(scope="module")
def bare_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A model that ranks events, with integer ids, without titles and without a split."""
    folder = tmp_path_factory.mktemp("bare")
    rows = _ratings()
    events = {"user": rows["user"], "item": [int(i % 12) for i in range(len(rows["user"]))]}
    ratings = ratings_from(events, columns={"rating": ""})
    parts = mfcli.split(ratings, mfcli.Config(test=0.1))
    config = mfcli.Config(
        k=3, epochs=3, optimizer="als", target="rated", biases=False, unrated_weight=0.1
    )
    mfcli.fit(parts, config).write(folder)
    with serving(application(folder)) as url:
        yield url


def asked(url: str, body: dict[str, Any] | None = None) -> Any:
    """Ask the server without a browser."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def heading(page: Page, text: str | re.Pattern[str]) -> None:
    """Wait for the heading of a view."""
    page.get_by_role("heading", level=1, name=text).wait_for()


def recommended(page: Page) -> list[str]:
    """The ids of the recommendations that the page shows."""
    rows = page.locator(".followed [data-item]")
    return [row.get_attribute("data-item") or "" for row in rows.all()]


def rate(page: Page, name: str, value: float) -> None:
    """Rate an item with the keyboard, and wait for the answer."""
    slider = page.get_by_role("slider", name=name)
    with page.expect_response("**/recommendations"):
        slider.focus()
        page.keyboard.press("End")
        for _ in range(round((5 - value) / 0.5)):
            page.keyboard.press("ArrowLeft")
    assert slider.get_attribute("aria-valuetext") == f"{value:g} of 5"


def test_first_view_names_items_and_users(browser: Browser, site: str) -> None:
    with opened(browser, site) as page:
        heading(page, "What this model knows")
        assert page.get_by_role("link", name="Title 0", exact=True).is_visible()
        assert page.get_by_text(f"{ITEMS} items and {USERS} users").is_visible()
        assert page.title() == "mfcli"


def test_search_with_the_keyboard(browser: Browser, site: str) -> None:
    with opened(browser, site) as page:
        box = page.get_by_role("combobox", name="Search for items and users")
        box.fill("title 1")
        options = page.get_by_role("option")
        options.first.wait_for()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        active = box.get_attribute("aria-activedescendant")
        assert options.nth(1).get_attribute("id") == active
        name = options.nth(1).locator(".name").inner_text()
        page.keyboard.press("Escape")
        assert box.get_attribute("aria-expanded") == "false"
        page.keyboard.press("ArrowDown")
        options.first.wait_for()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        heading(page, name)
        assert page.evaluate("document.activeElement.tagName") == "H1"


def test_stale_answers_of_the_search_are_dropped(browser: Browser, site: str) -> None:
    with opened(browser, site) as page:
        held: list[Route] = []
        page.route("**/items?q=Slash*", lambda route: held.append(route))  # a late answer
        box = page.get_by_role("combobox", name="Search for items and users")
        with page.expect_request("**/items?q=Slash*"):
            box.fill("Slash")
        box.fill("Title 6")
        page.get_by_role("option", name="Title 6").wait_for()
        for route in held:
            route.continue_()
        page.unroute_all(behavior="ignoreErrors")
        page.wait_for_timeout(200)  # in which a late answer would be shown
        assert page.get_by_role("option", name="Slash").count() == 0


def test_item_shows_popularity_mean_and_similar_items(browser: Browser, site: str) -> None:
    known = asked(f"{site}items/i0")
    similar = asked(f"{site}items/i0/similar?n=20")["similar"]
    with opened(browser, f"{site}#/items/i0") as page:
        heading(page, "Title 0")
        text = page.locator("main").inner_text()
        assert f"{known['mean']:.2f}" in text
        assert re.search(r"more than [\d.]+% of items; ties count half", text)
        names = page.locator("main .ranked .name").all_inner_texts()
        assert names[0] == (similar[0]["title"] or similar[0]["item"])
        assert len(names) == len(similar)


def test_user_shows_history_recommendations_and_reasons(browser: Browser, site: str) -> None:
    url = f"{site}users/5/recommendations?n=10&explain=3"
    rows = asked(url)["recommendations"]
    with opened(browser, f"{site}#/users/5") as page:
        heading(page, "User 5")
        shown = page.locator("main .ranked [data-item]")
        assert [row.get_attribute("data-item") for row in shown.all()] == [r["item"] for r in rows]
        first = shown.first.inner_text()
        assert f"{rows[0]['prediction']:.2f}" in first
        assert f"{rows[0]['because_1_contribution']:.2f}".lstrip("-") in first
        history = page.locator("section", has=page.get_by_role("heading", name="History"))
        ratings = asked(f"{site}users/5/ratings")["ratings"]
        assert history.locator(".row").count() == len(ratings)
        assert f"{ratings[0]['rating']:g}" in history.locator(".row").first.inner_text()


def test_recommendations_follow_the_ratings(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}#/rate") as page:
        rate(page, "Title 0", 5)
        page.locator(".followed [data-item]").first.wait_for()
        before = recommended(page)
        rate(page, "Title 6", 1)
        page.wait_for_function(
            "was => [...document.querySelectorAll('.followed [data-item]')]"
            ".map(row => row.dataset.item).join() !== was",
            arg=",".join(before),
        )
        given = [{"item": "i0", "rating": 5}, {"item": "i6", "rating": 1}]
        answer = asked(f"{site}recommendations", {"ratings": given, "n": 10, "explain": 3})
        assert recommended(page) == [row["item"] for row in answer["recommendations"]]
        assert page.get_by_role("heading", name="Your ratings (2)").is_visible()

        # They stay in this tab, and end when they are removed.
        page.reload()
        page.get_by_role("heading", name="Your ratings (2)").wait_for()
        page.get_by_role("button", name="Remove your rating of \u2068Title 6").click()
        page.get_by_role("heading", name="Your ratings (1)").wait_for()
        page.wait_for_function(
            "was => [...document.querySelectorAll('.followed [data-item]')]"
            ".map(row => row.dataset.item).join() === was",
            arg=",".join(before),
        )
        page.get_by_role("button", name="Clear all").click()
        page.get_by_text("Recommendations appear here.").wait_for()
        assert recommended(page) == []


def test_click_on_half_a_star_gives_this_rating(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}#/rate") as page:
        slider = page.get_by_role("slider", name="Title 0")
        box = slider.bounding_box()
        assert box is not None
        for tenth in (1, 5, 6, 10):
            slider.click(position={"x": box["width"] * (tenth - 0.5) / 10, "y": box["height"] / 2})
            assert slider.get_attribute("aria-valuetext") == f"{tenth / 2:g} of 5"


def test_found_title_is_added_and_rated_next(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}#/rate") as page:
        page.get_by_role("combobox", name="Find titles to add").fill("title 15")
        page.get_by_role("option", name="Title 15").click()
        focused = page.evaluate("document.activeElement.getAttribute('aria-label')")
        assert "Title 15" in focused
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Your ratings (1)").wait_for()


def test_map_selects_with_the_keyboard(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}#/map") as page:
        chart = page.get_by_role("application", name="Map of items")
        chart.focus()
        page.keyboard.press("Enter")
        selected = page.locator(".details h2")
        first = selected.inner_text()
        moved = set()
        for key in ("ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"):
            page.keyboard.press(f"Shift+{key}")
            moved.add(selected.inner_text())
        assert moved - {first}
        before = chart.screenshot()
        page.keyboard.press("+")
        page.keyboard.press("ArrowLeft")
        page.wait_for_timeout(100)
        assert chart.screenshot() != before
        # The nearest items are a list, and the way back leads to the same item.
        page.locator(".near button").first.click()
        name = selected.inner_text()
        page.locator(".details").get_by_role("link", name="Open").click()
        heading(page, name)
        page.go_back()
        heading(page, "Map of items")
        assert page.locator(".details h2").inner_text() == name


def test_map_selects_with_a_click_and_zooms_with_the_wheel(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}#/map/i0") as page:
        page.locator(".details h2", has_text="Title 0").wait_for()
        chart = page.get_by_role("application", name="Map of items")
        page.locator(".near button").first.click()
        name = page.locator(".details h2").inner_text()
        page.get_by_role("button", name="Show everything").click()
        box = chart.bounding_box()
        assert box is not None
        middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.goto(f"{site}#/map/{quote(SLASH, safe='')}")
        page.locator(".details h2", has_text="Slash").wait_for()
        page.mouse.move(*middle)
        before = chart.screenshot()
        page.mouse.wheel(0, -200)
        page.wait_for_timeout(100)
        assert chart.screenshot() != before
        page.mouse.click(*middle)  # the wheel leaves the place below the pointer where it is
        assert page.locator(".details h2").inner_text() == "Slash"
        assert name != "Slash"


def test_back_and_forward(browser: Browser, site: str) -> None:
    with opened(browser, site) as page:
        page.get_by_role("link", name="Title 0", exact=True).click()
        heading(page, "Title 0")
        page.get_by_role("link", name="Map", exact=True).click()
        heading(page, "Map of items")
        page.go_back()
        heading(page, "Title 0")
        page.go_back()
        heading(page, "What this model knows")
        page.go_forward()
        heading(page, "Title 0")
        assert page.title() == "Title 0 · mfcli"


def test_hostile_titles_stay_text_on_a_narrow_screen(browser: Browser, site: str) -> None:
    views = {
        "": "What this model knows", "items/i1": SCRIPT, "items/i3": LONG.strip(),
        "users/0": "User 0", "rate": "Rate a few titles", "map/i1": "Map of items",
    }  # fmt: skip
    with opened(browser, site, width=360, height=740) as page:
        for view, name in views.items():
            page.goto(f"{site}#/{view}")
            heading(page, name)
            if view == "rate":
                rate(page, "Title 0", 5)
                page.locator(".followed [data-item]").first.wait_for()
            page.get_by_text("<script>alert(1)</script>").first.wait_for()
            assert page.locator("main img, main script").count() == 0
            assert page.title() != "hacked"
            # A right-to-left mark ends with its name.
            for link in page.locator("main a", has_text="gnp.exe").all():
                assert link.locator("bdi").count() == 1
            assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_item_with_a_hostile_id(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}#/") as page:
        page.get_by_role("link", name="Slash").click()
        heading(page, "Slash")
        assert page.locator(".kind").inner_text() == f"Item {SLASH}"


def test_dark_scheme_has_light_text(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}#/map") as page:
        page.get_by_role("application").wait_for()
        light = page.get_by_role("application").screenshot()
        page.emulate_media(color_scheme="dark")
        page.wait_for_timeout(100)
        assert page.get_by_role("application").screenshot() != light
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert max(map(int, re.findall(r"\d+", background)[:3])) < 64


def test_touch_targets_are_large(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}#/rate", width=360, height=740) as page:
        rate(page, "Title 0", 5)
        page.locator(".followed [data-item]").first.wait_for()
        for control in page.locator("button:visible, input:visible, nav a").all():
            box = control.bounding_box()
            assert box is not None
            assert box["height"] >= 44, control.inner_text()


def test_ranks_without_titles_and_split(browser: Browser, bare_site: str) -> None:
    with opened(browser, f"{bare_site}#/users/3", width=400) as page:
        heading(page, "User 3")
        assert page.get_by_text("This server has no split").is_visible()
        assert page.locator("main .ranked .row").count() > 0
        page.get_by_role("link", name="Rate", exact=True).click()
        heading(page, "Choose items that you like")
        like = page.get_by_role("button", name="I like \u20683").first
        with page.expect_response("**/recommendations"):
            like.click()
        page.locator(".followed [data-item]").first.wait_for()
        answer = asked(
            f"{bare_site}recommendations",
            {"ratings": [{"item": 3, "rating": 1}], "n": 10, "explain": 3},
        )
        assert recommended(page) == [str(row["item"]) for row in answer["recommendations"]]
        assert like.get_attribute("aria-pressed") == "true"
        like.click()
        page.get_by_text("Recommendations appear here.").wait_for()


@contextmanager
def failing(browser: Browser, url: str) -> Iterator[Page]:
    """Open a page that meets failures, which the browser prints as errors."""
    context = browser.new_context()
    try:
        page = context.new_page()
        page.goto(url)
        yield page
    finally:
        context.close()


def test_what_is_unknown_is_told(browser: Browser, site: str) -> None:
    with failing(browser, site) as page:
        for view in ("items/unknown", "users/unknown"):
            page.goto(f"{site}#/{view}")
            page.locator(".problem p", has_text=view.split("/")[0][:-1]).wait_for()
        for view in ("nowhere", "items/%", "items"):
            page.goto(site)
            heading(page, "What this model knows")
            page.goto(f"{site}#/{view}")
            heading(page, "There is no such view")


def test_server_that_is_gone_and_returns(browser: Browser, site: str) -> None:
    with failing(browser, site) as page:
        heading(page, "What this model knows")
        page.route("**/*", lambda route: route.abort())
        page.get_by_role("link", name="Map", exact=True).click()
        page.locator(".problem").wait_for()
        page.get_by_text("The server does not answer. The page tries again.").wait_for()
        page.unroute_all()
        page.get_by_role("button", name="Try now").click()
        heading(page, "Map of items")
        assert page.locator("#banner p").count() == 0


def test_ratings_are_answered_when_the_server_returns(browser: Browser, site: str) -> None:
    with failing(browser, f"{site}#/rate") as page:
        page.get_by_text("Recommendations appear here.").wait_for()
        page.route("**/*", lambda route: route.abort())
        page.get_by_role("slider", name="Title 0").press("End")
        page.get_by_text("Check that mfcli serve is still running.").wait_for()
        page.unroute_all()
        page.get_by_role("button", name="Try now").click()
        page.locator(".followed [data-item]").first.wait_for()


def test_small_contributions_have_digits_that_count(browser: Browser, site: str) -> None:
    with failing(browser, site) as page:
        texts = page.evaluate(
            """async () => {
                const { recommendedRows } = await import("/page/recommended.js");
                const scale = { kind: "stars", min: 1, max: 5, step: 1, zero: 0 };
                const row = { item: 1, because_1: 2, because_1_contribution: 0.000426 };
                const rows = [{ ...row, score: 0.9 }, { ...row, prediction: 4 }];
                return recommendedRows(rows, scale).map((node) => node.textContent);
            }"""
        )
    assert "+0.00043" in texts[0]
    assert re.search(r"\+0\.00(?!\d)", texts[1])


def test_another_model_is_offered(browser: Browser, site: str) -> None:
    with opened(browser, site) as page:
        heading(page, "What this model knows")
        answer: Callable[[Route], None] = lambda route: route.fulfill(json={"model": "other"})  # noqa: E731
        page.route("**/health", answer)
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        button = page.get_by_role("button", name="Show its numbers")
        with page.expect_response("**/model"):
            button.click()
        button.wait_for(state="detached")


def test_modules_are_small_and_set_no_markup() -> None:
    folder = Path(mfcli.__file__).parent / "server" / "page"
    texts = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert sum(map(len, texts.values())) < 96_000
    for name, text in texts.items():
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b", text)
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), name
        assert " style=" not in text, name

"""Pages and charts without a browser."""

from __future__ import annotations

import base64
import hashlib
import itertools
import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from datetime import UTC, datetime
from html.parser import HTMLParser
from random import Random
from typing import Any

import jinja2
import pytest
from hypothesis import given, settings, strategies as st
from markupsafe import Markup

from mfcli.pages import (
    Axis,
    Bars,
    Chart,
    Interval,
    Line,
    asset,
    bar_chart,
    document,
    interval_chart,
    line_chart,
    rendered,
)
from mfcli.pages.calendar_ticks import calendar_texts, calendar_ticks
from mfcli.pages.number_texts import count, date, digits, percent
from mfcli.pages.plain_text import plain, shortened
from mfcli.pages.scales import fitting, scale_of
from mfcli.pages.templating import _environment
from mfcli.pages.thinning import MOST, kept
from mfcli.pages.tick_texts import linear_texts, log_text
from mfcli.pages.ticks import linear_ticks, log_ticks, outer_ticks

X, Y = Axis("x"), Axis("y")
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert(1)</script>\"'&amp;</svg></figure>\n\0\x1b\x85\ud800\u202e\u2066\uffff"
FINITE = st.floats(-1e300, 1e300)
ANY = st.one_of(st.none(), st.floats())


def seconds(*parts: int) -> float:
    return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[misc, arg-type]


def tree(chart: Chart) -> ET.Element:
    return ET.fromstring(chart.markup)


def drawing(chart: Chart) -> ET.Element:
    found = tree(chart).find(".//svg[@class='chart-drawing']")
    assert found is not None
    return found


def texts(chart: Chart) -> list[str]:
    return [text.text or "" for text in drawing(chart).iter("text")]


def paths(chart: Chart, name: str) -> list[str]:
    found = drawing(chart).iter("path")
    return [path.get("d", "") for path in found if name in path.get("class", "").split()]


def cells(chart: Chart) -> list[list[str]]:
    return [["".join(cell.itertext()) for cell in row] for row in tree(chart).iter("tr")]


def with_names(a: str, b: str) -> list[Chart]:
    """Return a chart of each kind; the names are everywhere where there can be any."""
    return [
        line_chart(
            a, [Line(a, [1, 2], [1, 2]), Line(b, [1], [1], [0], [2])], Axis(a), Axis(b), note=a
        ),
        bar_chart(a, [a, b], [Bars(a, [1, 2]), Bars(b, [2, None])], b, Axis(a), note=b),
        interval_chart(b, [Interval(a, 1, 0, 2, a), Interval(b, 2, None, None, b)], Axis(a)),
    ]


# Text


@pytest.mark.parametrize("number", range(3))
@given(a=st.text(max_size=12), b=st.text(max_size=12))
@settings(max_examples=60, deadline=None)
def test_names_stay_text(number: int, a: str, b: str) -> None:
    def shape(chart: Chart) -> list[tuple[str, list[str]]]:
        # Without labels of axes and notes, which may be empty.
        return [(one.tag, list(one.attrib)) for one in tree(chart).iter() if one.tag != "p"]

    a, b = f"a{a}"[:12], f"b{b}"[:12]
    assert shape(with_names(a, b)[number]) == shape(with_names("a", "b")[number])
    caption = tree(with_names(a, b)[number]).find("figcaption/bdi")
    assert caption is not None
    assert caption.text == plain((a, a, b)[number])


def test_hostile_names_are_shown() -> None:
    for chart in with_names(HOSTILE, "b"):
        chart.markup.encode()  # no lone surrogates
        assert not re.search("[\0\x1b\x85\uffff]", chart.markup)
        assert "<script" not in chart.markup
        assert "<script>alert(1)</script>" in "".join(tree(chart).itertext())


def test_names_cannot_turn_the_text_around_them() -> None:
    """Text outside of paragraphs and isolating elements has no controls of direction."""
    for chart in with_names("a\u202eb\u2066c", "d"):
        whole = tree(chart)
        for element in [*whole.iter("bdi"), *whole.iter("p")]:
            element.clear()
        assert "\u202e" not in "".join(whole.itertext())


def test_long_names_are_shortened_and_complete_on_hover() -> None:
    name = "x" * 5000 + "end"
    chart = line_chart("t", [Line(name, [1], [1]), Line("b", [1], [1])], X, Y)
    item = tree(chart).find(".//li")
    assert item is not None
    assert item.get("title") == name
    assert "".join(item.itertext()).strip() == shortened(name, 40)
    chart = interval_chart("t", [Interval(name, 1, 0, 2)], X)
    named = [text for text in drawing(chart).iter("text") if text.find("title") is not None]
    assert [text.find("title").text for text in named] == [name]  # type: ignore[union-attr]
    assert cells(chart)[1][0] == name


@settings(deadline=None)
@given(st.text(max_size=80), st.integers(5, 40))
def test_shortened_names_keep_both_ends(name: str, most: int) -> None:
    short = shortened(name, most)
    assert len(short) <= most
    if "\u2026" in short and "\u2026" not in name:
        start, _, end = short.partition("\u2026")
        assert start
        assert end


def test_filters_and_escaping_of_templates() -> None:
    def filled(source: str, **values: object) -> str:
        return _environment("pages").from_string(source).render(values)

    assert filled("{{ a | count }} {{ b | digits }} {{ c | percent }}", a=2e6, b=0.5, c=0.125) == (
        "2,000,000 0.5000 12.5%"
    )
    assert filled("{{ a | percent(0) }} {{ a | date }}", a=None) == "\u2013 \u2013"
    assert filled("{{ a }}", a="<b>\0\ud800") == "&lt;b&gt;\ufffd\ufffd"
    assert filled("{{ a }}", a=Markup("<b>")) == "<b>"
    with pytest.raises(jinja2.UndefinedError):
        rendered("pages", "document.html")


def test_numbers_as_text() -> None:
    assert [digits(v) for v in (0.5, -2e-9, 1e20, 1234567.8, math.inf, None)] == [
        "0.5000", "\u22122\u00d710⁻⁹", "1\u00d710²⁰", "1,234,568", "\u2013", "\u2013",
    ]  # fmt: skip
    assert [count(v) for v in (0, -0.2, 1234, math.nan)] == ["0", "0", "1,234", "\u2013"]
    assert percent(-0.5, 0) == "\u221250%"
    assert [date(v) for v in (0, seconds(987, 1, 2), 1e20)] == [
        "1970-01-01",
        "0987-01-02",
        "\u2013",
    ]


# Documents


class Elements(HTMLParser):
    """The elements of a document, with their attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.contents: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.contents.append((self.found[-1][0] if self.found else "", data))


def whole(*charts: Chart) -> str:
    body = Markup("").join(chart.markup for chart in charts)
    styles = [asset("base.css"), asset("charts.css")]
    return document(HOSTILE, body, styles=styles, scripts=[asset("charts.js")])


def test_the_policy_allows_exactly_what_is_embedded() -> None:
    elements = Elements(whole(*with_names("a", HOSTILE)))
    policy = next(a["content"] for _, a in elements.found if a.get("http-equiv")) or ""
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    for tag in ("style", "script"):
        # Each style and script is one text for a parser, because it has no entities.
        embedded = [text for name, text in elements.contents if name == tag and text.strip()]
        digests = [base64.b64encode(hashlib.sha256(t.encode()).digest()).decode() for t in embedded]
        assert rules.pop(f"{tag}-src") == " ".join(f"'sha256-{digest}'" for digest in digests)
    assert rules == {
        "default-src": "'none'", "img-src": "data:", "base-uri": "'none'", "form-action": "'none'"
    }  # fmt: skip
    names = {name for _, attributes in elements.found for name in attributes}
    assert not {name for name in names if name == "style" or name.startswith("on")}
    assert [
        a for t, a in elements.found if t in ("link", "a", "img") and a.get("href") != "data:,"
    ] == []


def test_documents_without_scripts_allow_none() -> None:
    assert "script-src 'none'" in document("a", Markup(), styles=[], scripts=[])


@pytest.mark.parametrize("text", ["a</style>", "</SCRIPT", "<!--"])
def test_styles_and_scripts_cannot_end_their_element(text: str) -> None:
    with pytest.raises(ValueError, match="contains"):
        document("a", Markup(), styles=[text], scripts=[])


def test_ids_are_unique_and_known() -> None:
    """Also if a chart is in a document twice."""
    charts = [*with_names("a", "b"), *with_names("a", "b"), *with_names("a", "c")]
    elements = Elements(whole(*charts))
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(ids) == len(set(ids)) > 2 * len(charts)
    used = {name for _, a in elements.found for name in (a.get("aria-labelledby") or "").split()}
    used |= {found for _, a in elements.found for found in re.findall(r"url\(#(.*?)\)", str(a))}
    assert used <= set(ids)


def test_same_charts_same_bytes() -> None:
    assert whole(*with_names("a", "b")) == whole(*with_names("a", "b"))


# Colors


def colors(scheme: str) -> dict[str, str]:
    """Return the colors of base.css; those of the dark scheme override the others."""
    light, dark = re.findall(r":root \{(.*?)\n *\}", asset("base.css"), re.DOTALL)[:2]
    found = re.findall(r"--([\w-]+): (#\w{6})", light + dark * (scheme == "dark"))
    return dict(found)


def luminance(color: str) -> float:
    parts = [int(color[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colors (WCAG 2.2)."""
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(scheme: str) -> None:
    found = colors(scheme)
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert len(found) == 15
    for ground in ("background", "surface"):
        for name in ("text", "muted", "accent", "good", "warning"):
            assert contrast(found[name], found[ground]) >= 4.5, name
        for name in (f"series-{number}" for number in range(1, 7)):
            assert contrast(found[name], found[ground]) >= 3, name
    assert contrast(found["accent-text"], found["accent"]) >= 4.5


# Ticks and scales


def ends(axis: tuple[float, float]) -> tuple[float, float] | None:
    """Return the ends of an axis, if they differ by more than rounding."""
    low, high = sorted(axis)
    return (low, high) if high - low > max(abs(low), abs(high)) * 1e-9 + 1e-280 else None


AXES: st.SearchStrategy[tuple[float, float]] = st.tuples(FINITE, FINITE).map(ends).filter(bool)  # type: ignore[assignment]


@settings(deadline=None)
@given(AXES, st.integers(2, 12))
def test_ticks_are_round_and_inside(axis: tuple[float, float], most: int) -> None:
    low, high = axis
    ticks = linear_ticks(low, high, most)
    assert len(ticks) <= most
    room = (high - low) * 1e-6
    assert all(low - room <= tick <= high + room for tick in ticks)
    steps = [b - a for a, b in itertools.pairwise(ticks)]
    for step in steps:
        assert step == pytest.approx(steps[0])
        assert f"{step:.3e}"[:5] in ("1.000", "2.000", "5.000")
    assert len(set(linear_texts(ticks))) == len(ticks)


@settings(deadline=None)
@given(AXES, st.integers(3, 12))
def test_ticks_are_not_few(axis: tuple[float, float], most: int) -> None:
    """The next smaller step, which is at most 2.5 times smaller, would give too many."""
    assert len(linear_ticks(*axis, most)) >= (most - 2) / 2.5 - 1


@settings(deadline=None)
@given(AXES, st.integers(3, 12))
def test_outer_ticks_enclose_the_axis(axis: tuple[float, float], most: int) -> None:
    low, high = axis
    ticks = outer_ticks(low, high, most)
    room = (high - low) * 1e-6
    assert len(ticks) <= most
    assert ticks[0] <= low + room
    assert ticks[-1] >= high - room


@settings(deadline=None)
@given(st.floats(1e-290, 1e290), st.floats(1.001, 1e12), st.integers(2, 12))
def test_logarithmic_ticks(low: float, ratio: float, most: int) -> None:
    ticks = log_ticks(low, low * ratio, most)
    assert len(ticks) <= most
    assert ticks == sorted(set(ticks))
    assert all(low * (1 - 1e-6) <= tick <= low * ratio * (1 + 1e-6) for tick in ticks)
    assert len(set(map(log_text, ticks))) == len(ticks)


@settings(deadline=None)
@given(st.floats(-6e10, 2.5e11), st.floats(1e-3, 3e11), st.integers(2, 12))
def test_ticks_of_times(low: float, span: float, most: int) -> None:
    ticks = calendar_ticks(low, low + span, most)
    assert len(ticks) <= most
    assert all(low - span / 1e6 <= tick <= low + span * (1 + 1e-6) for tick in ticks)
    assert len(calendar_texts(ticks)) == len(ticks)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        ((1995, 3, 3), (2018, 9, 1), ["2000", "2005", "2010", "2015"]),
        ((2003, 3, 3), (2004, 9, 1), ["Apr 2003", "Jul", "Oct", "Jan 2004", "Apr", "Jul"]),
        ((2003, 3, 3), (2003, 3, 20), ["Mar 3, 2003", "Mar 10", "Mar 17"]),
        ((2003, 3, 3, 20), (2003, 3, 4, 8), ["21:00, Mar 3", "00:00, Mar 4", "03:00", "06:00"]),
    ],
)
def test_times_as_text(low: tuple[int, ...], high: tuple[int, ...], expected: list[str]) -> None:
    assert calendar_texts(calendar_ticks(seconds(*low), seconds(*high), 6)) == expected


@pytest.mark.parametrize(
    ("axis", "values", "expected"),
    [
        (Y, [0.86, 0.95], ["0.86", "0.88", "0.90", "0.92", "0.94", "0.96"]),
        (Y, [0, 2e7], ["0", "5M", "10M", "15M", "20M"]),
        (
            Y,
            [1e-12, 3e-12],
            [
                "1.0\u00d710⁻¹²",
                "1.5\u00d710⁻¹²",
                "2.0\u00d710⁻¹²",
                "2.5\u00d710⁻¹²",
                "3.0\u00d710⁻¹²",
            ],
        ),
        (Y, [3, 4], ["3", "4"]),
        (Y, [5], ["4", "5", "6"]),
        (Y, [0.5, 0.5], ["0.45", "0.50", "0.55"]),
        (Y, [1e9 + 1, 1e9 + 3], ["1,000,000,001", "1,000,000,002", "1,000,000,003"]),
        (Axis("", percent=True), [0.02, 0.98], ["0%", "20%", "40%", "60%", "80%", "100%"]),
        (Axis("", log=True), [1, 26744], ["1", "10", "100", "1,000", "10,000"]),
        (Axis("", log=True), [110, 490], ["200", "300", "400"]),
        (Axis("", log=True), [1e-12, 1e12], ["10⁻¹⁰", "10⁻⁵", "1", "100,000", "10B"]),
        (Y, [None, math.nan, math.inf], []),
    ],
)
def test_axes(axis: Axis, values: list[float | None], expected: list[str]) -> None:
    assert [tick.text for tick in scale_of(axis, values, rounded=True).ticks(6)] == expected


@settings(deadline=None)
@given(st.lists(ANY), st.booleans(), st.booleans(), st.booleans())
def test_all_values_are_within_the_axis(
    values: list[float | None], log: bool, rounded: bool, zero: bool
) -> None:
    scale = scale_of(Axis("", log=log), values, rounded=rounded, zero=zero)
    for place in map(scale.place, values):
        assert math.isnan(place) or -1e-6 <= place <= 1 + 1e-6
    for tick in scale.ticks(6):
        assert -1e-6 <= tick.place <= 1 + 1e-6
        assert tick.text


@settings(deadline=None)
@given(st.lists(FINITE, min_size=1), st.booleans(), st.booleans())
def test_texts_of_ticks_do_not_overlap(values: list[float], log: bool, time: bool) -> None:
    scale = scale_of(Axis("", log=log, time=time and not log), values)
    ticks = fitting(scale, 225, lambda text: 7 * len(text))
    for left, right in itertools.pairwise(ticks):
        assert (right.place - left.place) * 225 >= 3.5 * (len(left.text) + len(right.text)) - 1e-9


# Lines


def test_gaps_divide_a_line() -> None:
    line = Line("a", [0, 1, 2, 3, 4, 5], [0, 1, None, 1, math.nan, 0.5])
    chart = line_chart("t", [line], X, Y)
    assert paths(chart, "chart-line") == ["M0 1000L200 0"]
    assert len(paths(chart, "chart-mark")) == 2  # points that no line reaches
    assert [row[1] for row in cells(chart)[1:]] == [
        "0.0000",
        "1.0000",
        "\u2013",
        "1.0000",
        "\u2013",
        "0.5000",
    ]


def test_bands() -> None:
    line = Line("a", [0, 1], [0.5, 1], low=[0, 0.5], high=[1, 2])
    chart = line_chart("t", [line], X, Y)
    assert paths(chart, "chart-band") == ["M0 500L1000 0L1000 750L0 1000z"]
    assert cells(chart) == [
        ["x", "a", "a, low", "a, high"],
        ["0", "0.5000", "0.0000", "1.0000"],
        ["1", "1.0000", "0.5000", "2.0000"],
    ]


def test_a_band_reaches_the_end_of_a_logarithmic_axis() -> None:
    line = Line("a", [0, 1], [1, 10], low=[0, -1], high=[10, 100])
    chart = line_chart("t", [line], X, Axis("y", log=True))
    assert paths(chart, "chart-band") == ["M0 500L1000 0L1000 1000L0 1000z"]


def test_lines_differ_in_more_than_color() -> None:
    """In dashes or in marks: 42 lines have different colors and marks."""
    lines = [Line(str(n), [1, 2, 3], [n, n, n]) for n in range(42)]
    keys = [ET.tostring(key) for key in tree(line_chart("t", lines, X, Y)).iter("svg")]
    legend = [key for key in keys if b"chart-key" in key and b"chart-drawing" not in key]
    assert len(set(legend)) == 42
    two = [Line("a", [1, 2], [1, 2]), Line("b", [1, 2], [2, 1], dashed=True)]
    assert paths(line_chart("t", two, X, Y), "chart-mark") == []
    same = [line for line in two if not line.dashed] * 2
    assert len(set(paths(line_chart("t", same, X, Y), "chart-mark"))) == 2


def test_rows_join_lines_at_the_same_places() -> None:
    lines = [Line("a", [1, 3], [10, 30]), Line("b", [2, 3], [21, 31])]
    chart = line_chart("t", lines, X, Y, column="place")
    expected = [["place", "a", "b"], ["1", "10", ""], ["2", "", "21"], ["3", "30", "31"]]
    assert cells(chart) == expected


def test_the_table_has_headers_and_places() -> None:
    chart = line_chart("t", [Line("a", [0, 10], [0, 1])], X, Y)
    table = tree(chart).find(".//table")
    assert table is not None
    assert [cell.get("scope") for cell in table.iter("th")] == ["col", "col", "row", "row"]
    assert [row.get("data-at") for row in table.iter("tr")] == [None, "0", "100"]
    assert [cell.get("data-at") for cell in table.iter("td")] == ["0", "100"]


def test_drawings_are_described() -> None:
    chart = line_chart("Title", [Line("run a", [1, 2, 3], [3, 1, 2])], Axis("epoch"), Axis("RMSE"))
    svg = drawing(chart)
    assert svg.get("role") == "img"
    labels = [tree(chart).find(f".//*[@id='{n}']") for n in svg.get("aria-labelledby", "").split()]
    words = ["".join(label.itertext()) for label in labels if label is not None]
    words = [re.sub("[\u2068\u2069]", "", text) for text in words]
    assert words == [
        "Title",
        "Line chart of RMSE by epoch. run a: from 3 to 2; lowest 1, highest 3.",
    ]


def test_long_lines_are_thinned() -> None:
    values = [math.sin(n / 9000) for n in range(100_000)]
    values[77_777], values[33_333], values[55_555] = 5, -5, math.nan
    line = Line("a", list(range(100_000)), values)
    chart = line_chart("t", [line], X, Y, note="A note.")
    rows = cells(chart)[1:]
    assert 200 < len(rows) <= MOST
    note = f"A note. {len(rows)} of 100,000 points are shown, with all extremes."
    assert tree(chart).find("p[@class='chart-note']").text == note  # type: ignore[union-attr]
    assert ["77,777", "5.0000"] in rows
    assert ["33,333", "\u22125.0000"] in rows
    assert ["55,555", "\u2013"] in rows
    assert len(chart.markup) < 60_000


@given(st.integers(), st.integers(MOST + 1, 900), st.integers(1, 4), st.booleans())
@settings(max_examples=30, deadline=None)
def test_thinning_keeps_ends_and_extremes(seed: int, size: int, columns: int, back: bool) -> None:
    random = Random(seed)
    values = [random.choice([math.nan, random.random(), random.random()]) for _ in range(size)]
    places = [(size - n if back else n) / size for n in range(size)]
    parts = [[v * (-1) ** k for v in values] for k in range(columns)]
    chosen = kept(places, parts)
    assert len(chosen) <= MOST
    assert chosen == sorted(set(chosen))
    assert {0, size - 1} <= set(chosen)
    drawn = [v for v in values if not math.isnan(v)]
    left = [values[n] for n in chosen if not math.isnan(values[n])]
    assert (min(drawn, default=0), max(drawn, default=0)) == (
        min(left, default=0), max(left, default=0)
    )  # fmt: skip


def test_the_diagonal_is_where_both_values_are_equal() -> None:
    axis = Axis("a", percent=True)
    chart = line_chart("t", [Line("a", [0, 0.5, 1], [0, 0.4, 1])], axis, axis, diagonal=True)
    line = drawing(chart).find(".//line[@class='chart-reference']")
    assert line is not None
    assert [line.get(name) for name in ("x1", "y1", "x2", "y2")] == ["0%", "100%", "100%", "0%"]


@pytest.mark.parametrize("lists", [([1, 2], [1]), ([1], [1], [1, 2], [1]), ([1], [1], [1], None)])
def test_the_lists_of_a_line_have_one_length(lists: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="the line"):
        Line("a", *lists)


# Bars and rows


def boxes(chart: Chart) -> list[tuple[str | None, ...]]:
    found = drawing(chart).findall(".//g/rect")
    return [tuple(one.get(n) for n in ("x", "y", "width", "height")) for one in found]


def test_bars_start_at_zero() -> None:
    chart = bar_chart("t", ["a", "b", "c"], [Bars("n", [1, -1, None])], "x", Y)
    (_, first, width, height), (_, second, *_) = boxes(chart)
    assert (first, second, width, height) == ("0%", "50%", "24%", "50%")
    assert cells(chart) == [["x", "n"], ["a", "1"], ["b", "\u22121"], ["c", "\u2013"]]


def test_kinds_of_bars_differ_in_more_than_color() -> None:
    kinds = [Bars(str(n), [1, 2]) for n in range(24)]
    chart = bar_chart("t", ["a", "b"], kinds, "x", Y)
    looks = {
        (group.get("class"), group.get("fill", "").rpartition("-")[0] or "solid")
        for group in drawing(chart).iter("g")
        if "chart-bars" in group.get("class", "")
    }
    assert {kind for _, kind in looks} == {"solid", looks_of_stripes(chart)}
    turns = [one.get("patternTransform") for one in drawing(chart).iter("pattern")]
    assert len(set(turns)) == 3


def looks_of_stripes(chart: Chart) -> str:
    return f"url(#{tree(chart).get('id')}-fill"


def test_bars_with_long_labels_are_in_rows() -> None:
    chart = bar_chart("t", ["Toy Story (1995)", "b"], [Bars("n", [4, 2])], "x", Y)
    assert tree(chart).get("class") == "chart chart-rows"
    assert [box[2] for box in boxes(chart)] == ["100%", "50%"]
    assert texts(chart)[-4:] == ["Toy Story (1995)", "b", "4", "2"]
    assert drawing(chart).get("height") == "2em"


def test_many_bars_keep_the_extremes() -> None:
    values = [float(n % 7) for n in range(5000)]
    values[1234] = 99
    chart = bar_chart("t", list(map(str, range(5000))), [Bars("n", values)], "x", Y)
    assert ["1234", "99"] in cells(chart)
    assert len(boxes(chart)) <= MOST
    assert "of 5,000 bars are shown" in chart.markup


def test_bars_need_a_value_for_each_label() -> None:
    with pytest.raises(ValueError, match="2 values"):
        bar_chart("t", ["a", "b"], [Bars("n", [1])], "x", Y)


def test_intervals() -> None:
    rows = [Interval("a", 0.5, 0, 1, "g"), Interval("b", 1, None, None, "h")]
    chart = interval_chart("t", rows, Axis("gain"))
    whiskers = [one for one in drawing(chart).iter("line") if one.get("class") == "chart-whisker"]
    assert len(whiskers) == 1
    assert len(set(paths(chart, "chart-mark"))) == 2
    assert [li.find("bdi").text for li in tree(chart).iter("li")] == ["g", "h"]  # type: ignore[union-attr]
    assert cells(chart) == [
        ["Name", "gain", "Low", "High", "Group"],
        ["a", "0.5000", "0.0000", "1.0000", "g"],
        ["b", "1.0000", "\u2013", "\u2013", "h"],
    ]
    assert "chart-base" in chart.markup  # the line at zero
    plain_rows = [Interval("a", 5, 4, 6)]
    assert "chart-base" not in interval_chart("t", plain_rows, X).markup


# All charts


KINDS: list[Callable[[list[float | None], Axis], Chart]] = [
    lambda values, axis: line_chart(
        "t",
        [Line("a", values, values[::-1], values, values, marks=True)],
        axis,
        axis,
        diagonal=True,
    ),
    lambda values, axis: bar_chart(
        "t", [f"b{n}" for n in range(len(values))], [Bars("a", values)], "x", axis
    ),
    lambda values, axis: bar_chart("t", ["x" * 20] * len(values), [Bars("a", values)], "x", axis),
    lambda values, axis: interval_chart("t", [Interval("a", v, v, v) for v in values], axis),
]


@pytest.mark.parametrize("kind", KINDS)
@given(values=st.lists(ANY, max_size=6), log=st.booleans(), time=st.booleans())
@settings(max_examples=50, deadline=None)
def test_any_values_give_a_chart(
    kind: Callable[[list[float | None], Axis], Chart],
    values: list[float | None],
    log: bool,
    time: bool,
) -> None:
    chart = kind(values, Axis("y", log=log, time=time))
    assert ("No values" in texts(chart)) == all(
        value is None or not abs(value) <= 1e300 or (log and value <= 1e-300) for value in values
    )
    assert not re.search(r"\b(nan|inf|None)\b", ET.tostring(drawing(chart), encoding="unicode"))
    assert len(cells(chart)[1:]) == len(values)

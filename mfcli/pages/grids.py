"""Grid lines and ticks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup

from mfcli.pages.elements import across, down, element, joined
from mfcli.pages.scales import Scale, Tick, fitting

_SIZES = {"chart-narrow": 225.0, "chart-wide": 360.0}
"""The smallest widths, in pixels, of the drawings in which ticks of a class are shown."""

_CHARACTER = 7.0  # pixels
_SPACE = 12.0  # pixels between the texts of ticks
_MARGIN = 20.0  # pixels beside a drawing, into which a text may reach


def left_axis(scale: Scale) -> tuple[Markup, list[str]]:
    """Draw horizontal grid lines with their ticks on the left; return the texts, too."""
    ticks = scale.ticks(6)
    lines = joined(_grid_line(y1=down(t.place), y2=down(t.place), x2="100%") for t in ticks)
    texts = joined(
        element("text", t.text, x=0, y=down(t.place), dx=-8, dy="0.35em", text_anchor="end")
        for t in ticks
    )
    return joined([lines, texts]), [tick.text for tick in ticks]


def bottom_axis(scale: Scale) -> Markup:
    """Draw ticks below a drawing, fewer if it is narrow."""
    return joined(
        element("g", *map(_stub, ticks), *_texts(ticks, width), class_=name)
        for name, width in _SIZES.items()
        for ticks in [fitting(scale, width, text_width)]
    )


def bottom_grid(scale: Scale) -> Markup:
    """Draw vertical grid lines with few ticks below them."""
    width = _SIZES["chart-narrow"]
    ticks = fitting(scale, width, text_width)
    lines = (_grid_line(x1=across(t.place), x2=across(t.place), y1=0, y2="100%") for t in ticks)
    return joined([*lines, *_texts(ticks, width)])


def bottom_texts(texts: Sequence[str]) -> Markup:
    """Name ranges of equal width below a drawing; every second, third, ... if they are long."""
    return joined(
        element("g", joined(_range_texts(texts, width)), class_=name)
        for name, width in _SIZES.items()
    )


def baseline(scale: Scale | None = None) -> Markup:
    """Draw the line at the bottom of a drawing, or where bars start."""
    y = down(scale.place(0) if scale and not scale.axis.log else 0)
    return element("line", class_="chart-base", x1=0, x2="100%", y1=y, y2=y)


def no_values() -> Markup:
    """Draw what an empty chart says."""
    return element("text", "No values", x="50%", y="50%", text_anchor="middle")


def text_width(text: str) -> float:
    """Return about how many pixels the text of a tick needs, with the space around it."""
    return len(text) * _CHARACTER + _SPACE


def _stub(tick: Tick) -> Markup:
    line = element("path", class_="chart-stub", d="M0 0v5")
    return element("svg", line, x=across(tick.place), y="100%")


def _texts(ticks: Sequence[Tick], width: float) -> list[Markup]:
    return [_below(tick.text, tick.place, width) for tick in ticks]


def _below(text: str, place: float, width: float) -> Markup:
    # A text at the right end is moved to the left, lest it reach out of the page.
    out = place * width + (text_width(text) - _SPACE) / 2 > width + _MARGIN
    return element(
        "text",
        text,
        x="100%" if out else across(place),
        y="100%",
        dx=_MARGIN if out else None,
        dy="1.6em",
        text_anchor="end" if out else "middle",
    )


def _range_texts(texts: Sequence[str], width: float) -> Iterable[Markup]:
    count = max(1, len(texts))
    step = next(n for n in _steps() if _fits(texts[::n], n * width / count))
    for index in range(0, len(texts), step):
        yield _below(texts[index], (index + 0.5) / count, width)


def _fits(texts: Sequence[str], width: float) -> bool:
    return len(texts) < 2 or all(text_width(text) - _SPACE / 2 <= width for text in texts)


def _steps() -> Iterable[int]:
    for size in (1, 10, 100, 1000):
        yield from (size * digit for digit in (1, 2, 3, 4, 5, 6))


def _grid_line(**ends: str | int) -> Markup:
    return element("line", class_="chart-grid", **ends)

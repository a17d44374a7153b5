"""Drawings of rows below each other: a name, what is drawn for it, and its number.

Names and numbers are beside the drawing, or above each row if the drawing is narrow.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from mfcli.pages.elements import across, down, element, joined
from mfcli.pages.plain_text import is_long, shortened
from mfcli.pages.scales import Scale


def row_places(count: int) -> list[float]:
    """Return the places of the middles of rows, from 1 at the top to 0 at the bottom."""
    return [1 - (row + 0.5) / count for row in range(count)]


def row_names(names: Sequence[str]) -> tuple[Markup, list[str]]:
    """Draw the names of rows; return them as they are shown, too."""
    short = list(map(shortened, names))
    texts = joined(
        element(
            "text",
            text,
            *([element("title", name)] if is_long(name) else []),
            class_="chart-row-name",
            y=down(place),
            dy="0.35em",
        )
        for text, name, place in zip(short, names, row_places(len(names)), strict=True)
    )
    return texts, short


def row_numbers(texts: Sequence[str]) -> Markup:
    """Draw the numbers of rows."""
    return joined(
        element("text", text, class_="chart-row-number", x="100%", y=down(place), dy="0.35em")
        for text, place in zip(texts, row_places(len(texts)), strict=True)
    )


def zero_line(scale: Scale) -> Markup:
    """Draw a line at zero, if it is within the axis."""
    if scale.empty or scale.axis.log or not scale.low <= 0 <= scale.high:
        return Markup()
    x = across(scale.place(0))
    return element("line", class_="chart-base", x1=x, x2=x, y1=0, y2="100%")

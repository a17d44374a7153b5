"""Fills of bars, which differ in more than color."""

from __future__ import annotations

from markupsafe import Markup

from mfcli.pages.elements import element, joined
from mfcli.pages.legends import Entry, key
from mfcli.pages.marks import color_class

_TURNS = ("", "rotate(45)", "rotate(-45)", "rotate(90)")  # of stripes; the first has none


def fills(kinds: int, name: str) -> Markup:
    """Define the stripes of several kinds of bars; `name` is the id of the chart."""
    patterns = (_pattern(kind, name) for kind in range(kinds) if kind % len(_TURNS))
    return element("defs", joined(patterns)) if kinds > 1 else Markup()


def fill(kind: int, name: str) -> str:
    """Return the fill of a kind of bars, given its number from 0."""
    return f"url(#{name}-fill-{kind})" if kind % len(_TURNS) else "currentColor"


def bar_entry(text: str, kind: int, name: str) -> Entry:
    """Return the entry of a kind of bars in the legend."""
    sample = element("rect", x=0.5, y=0.5, width=27, height=11, fill=fill(kind, name))
    bars = element("g", sample, class_="chart-bars")
    return Entry(text, key(bars, color=color_class(kind)))


def _pattern(kind: int, name: str) -> Markup:
    return element(
        "pattern",
        element("rect", class_="chart-pale", width=6, height=6),
        element("rect", width=2.5, height=6, fill="currentColor"),
        id=f"{name}-fill-{kind}",
        class_=color_class(kind),
        width=6,
        height=6,
        patternUnits="userSpaceOnUse",
        patternTransform=_TURNS[kind % len(_TURNS)],
    )

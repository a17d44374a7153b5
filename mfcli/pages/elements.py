"""Elements of SVG as escaped markup."""

from __future__ import annotations

import math
from collections.abc import Iterable

from markupsafe import Markup, escape

from mfcli.pages.plain_text import plain


def element(tag: str, *children: str, **attributes: str | float | None) -> Markup:
    """Return an element.

    Parameters
    ----------
    tag : str
    *children : str
        Text, which is escaped, and markup.
    **attributes : str, float or None
        ``class_`` is "class", and ``text_anchor`` "text-anchor". Those that are None are left out.

    Returns
    -------
    Markup
    """
    parts = (
        f' {name.rstrip("_").replace("_", "-")}="{escape(plain(str(value)))}"'
        for name, value in attributes.items()
        if value is not None
    )
    inner = "".join(c if isinstance(c, Markup) else escape(plain(c)) for c in children)
    return Markup(f"<{tag}{''.join(parts)}>{inner}</{tag}>")


def joined(parts: Iterable[Markup]) -> Markup:
    """Return markup, one part after another."""
    return Markup("".join(parts))


def across(place: float) -> str:
    """Return a place from the left, from 0 to 1, as a percentage of the drawing's width."""
    return f"{_short(100 * place, 3)}%"


def down(place: float) -> str:
    """Return a place from the bottom, from 0 to 1, as a percentage of the drawing's height."""
    return f"{_short(100 * (1 - place), 3)}%"


def thousandths(x: float, y: float) -> str:
    """Return a point as coordinates of a path, with y from the bottom."""
    return f"{_short(1000 * x, 1)} {_short(1000 * (1 - y), 1)}"


def percentage(place: float) -> str | None:
    """Return a place in percent for an attribute that the script reads."""
    return None if math.isnan(place) else _short(100 * place, 3)


def _short(value: float, decimals: int) -> str:
    text = f"{value:.{decimals}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text

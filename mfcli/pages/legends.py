"""Legends, which name the series of a chart."""

from __future__ import annotations

from typing import NamedTuple

from markupsafe import Markup

from mfcli.pages.elements import element
from mfcli.pages.plain_text import is_long, shortened

_LONG = 40  # characters


class Entry(NamedTuple):
    """A series in a legend: its name, and markup of 28 by 12 pixels that shows its look."""

    name: str
    key: Markup

    @property
    def short(self) -> str:
        return shortened(self.name, _LONG)

    @property
    def full(self) -> str | None:
        """The name, if it is shortened."""
        return self.name if is_long(self.name, _LONG) else None


def key(*parts: Markup, color: str) -> Markup:
    """Return the sample of a series."""
    return element(
        "svg", *parts, class_=f"chart-key {color}", width=28, height=12, aria_hidden="true"
    )

"""Bars, upright and from left to right."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from mfcli.pages.bar_fills import fill
from mfcli.pages.charts import Bars
from mfcli.pages.elements import across, down, element, joined
from mfcli.pages.marks import color_class
from mfcli.pages.rows import row_places
from mfcli.pages.scales import Scale

_FEW = 60
_WIDTHS = 0.72, 0.9  # of the room of a label, if there are few and many
_THICKNESS = 0.34  # of a row


def bars_upright(bars: Sequence[Bars], scale: Scale, name: str) -> Markup:
    """Draw bars of several kinds beside each other; `name` is the id of the chart."""
    return joined(
        element(
            "g",
            *_upright(one, kind, len(bars), scale),
            class_=f"chart-bars {color_class(kind)}",
            fill=fill(kind, name),
        )
        for kind, one in enumerate(bars)
    )


def bars_across(bars: Bars, scale: Scale) -> Markup:
    """Draw a bar in each row."""
    zero = scale.place(0) if not scale.axis.log else 0.0
    places = zip(map(scale.place, bars.values), row_places(len(bars.values)), strict=True)
    thickness = _THICKNESS / max(1, len(bars.values))
    drawn = [
        _bar(min(zero, end), middle - thickness / 2, abs(end - zero), thickness)
        for end, middle in places
        if not math.isnan(end)
    ]
    return element("g", *drawn, class_=f"chart-bars {color_class(0)}", fill="currentColor")


def _upright(bars: Bars, kind: int, kinds: int, scale: Scale) -> list[Markup]:
    zero = scale.place(0) if not scale.axis.log else 0.0
    count = len(bars.values)
    room = _WIDTHS[count > _FEW]
    width = room / kinds / count if count else 0
    return [
        _bar((n + (1 - room) / 2) / count + kind * width, min(zero, end), width, abs(end - zero))
        for n, end in enumerate(map(scale.place, bars.values))
        if not math.isnan(end)
    ]


def _bar(left: float, bottom: float, width: float, height: float) -> Markup:
    return element(
        "rect",
        x=across(left),
        y=down(bottom + height),
        width=across(width),
        height=across(height),
    )

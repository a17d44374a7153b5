"""Charts in words, for those who do not see them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mfcli.pages.charts import Axis, Bars, Interval, Line
from mfcli.pages.number_texts import number
from mfcli.pages.plain_text import isolated, shortened
from mfcli.pages.tables import column_texts

_MOST = 6  # series that are described


def line_description(lines: Sequence[Line], x: Axis, y: Axis) -> str:
    """Describe a chart of lines: where each starts and ends, and its extremes."""
    kind = f"Line chart of {_name(y.label)} by {_name(x.label)}."
    return _joined(kind, [_line_words(line, y) for line in lines], "lines")


def bar_description(labels: Sequence[str], bars: Sequence[Bars], name: str, y: Axis) -> str:
    """Describe a chart of bars: their number, and the lowest and highest of each kind."""
    kind = f"Bar chart of {_name(y.label)} by {_name(name)}, {len(labels):,} bars."
    return _joined(kind, [_bar_words(labels, one, y) for one in bars], "series")


def interval_description(rows: Sequence[Interval], axis: Axis) -> str:
    """Describe a chart of intervals: each value."""
    kind = f"Chart of {_name(axis.label)} with intervals, {len(rows):,} rows."
    values = column_texts(axis, [row.value for row in rows])
    words = [f"{_name(row.name)} {text}." for row, text in zip(rows, values, strict=True)]
    return _joined(kind, words, "rows")


def _line_words(line: Line, y: Axis) -> str:
    found = [value for value in map(number, line.y) if not math.isnan(value)]
    if not found:
        return f"{_name(line.name)}: no values."
    first, last, low, high = column_texts(y, [found[0], found[-1], min(found), max(found)])
    return f"{_name(line.name)}: from {first} to {last}; lowest {low}, highest {high}."


def _bar_words(labels: Sequence[str], bars: Bars, y: Axis) -> str:
    found = [
        (value, label)
        for value, label in zip(map(number, bars.values), labels, strict=True)
        if not math.isnan(value)
    ]
    if not found:
        return f"{_name(bars.name)}: no values."
    low, high = min(found)[1], max(found)[1]
    texts = column_texts(y, [min(found)[0], max(found)[0]])
    return (
        f"{_name(bars.name)}: lowest {texts[0]} at {_name(low)}, "
        f"highest {texts[1]} at {_name(high)}."
    )


def _joined(kind: str, words: Sequence[str], noun: str) -> str:
    more = [f"And {len(words) - _MOST:,} other {noun}."] if len(words) > _MOST else []
    return " ".join([kind, *words[:_MOST], *more])


def _name(text: str) -> str:
    return isolated(shortened(text, 80))

"""The table of a chart of lines."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TypeAlias

from mfcli.pages.charts import Line
from mfcli.pages.number_texts import number
from mfcli.pages.scales import Scale
from mfcli.pages.tables import Column, Table, column_texts

_Row: TypeAlias = tuple[float, int]
"""A value on the horizontal axis, and how many points of the line had it before."""


def line_table(lines: Sequence[Line], name: str, x: Scale, y: Scale) -> Table:
    """Return the numbers of lines; a row has the values of all lines at a place.

    Parameters
    ----------
    lines : sequence of Line
    name : str
        Of the first column.
    x, y : Scale

    Returns
    -------
    Table
        Rows are sorted if all lines are.
    """
    keys = [list(_keys(line.x)) for line in lines]
    rows = list(dict.fromkeys(key for part in keys for key in part))
    if all(left <= right for part in keys for left, right in pairwise(part)):
        rows.sort()
    values = [at if math.isfinite(at) else None for at, _ in rows]
    first = Column(name, column_texts(x.axis, values), [x.place(value) for value in values])
    columns = []
    for index, (line, own) in enumerate(zip(lines, keys, strict=True)):
        columns += list(_columns(line, own, rows, y, str(index)))
    return Table(first, columns)


def _keys(values: Sequence[float | None]) -> Iterator[_Row]:
    seen: Counter[float] = Counter()
    for value in values:
        at = number(value)
        at = math.inf if math.isnan(at) else at  # sorted last, and equal to itself
        yield at, seen[at]
        seen[at] += 1


def _columns(
    line: Line, keys: Sequence[_Row], rows: Sequence[_Row], y: Scale, series: str
) -> Iterator[Column]:
    parts = [part for part in (line.y, line.low, line.high) if part is not None]
    texts = iter(column_texts(y.axis, [value for part in parts for value in part]))
    name, places = line.name or y.axis.label, dict(zip(keys, map(y.place, line.y), strict=True))
    for suffix in ("", ", low", ", high")[: len(parts)]:
        # Rows in which the line has no point are empty.
        own = dict(zip(keys, texts, strict=False))
        column = Column(name + suffix, [own.get(row, "") for row in rows], bound=True)
        if not suffix:
            found = [places.get(row, math.nan) for row in rows]
            column = replace(column, places=found, series=series, bound=False)
        yield column

"""Charts of dots with whiskers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from mfcli.pages.charts import Axis, Chart, Interval
from mfcli.pages.descriptions import interval_description
from mfcli.pages.elements import across, down, element, joined
from mfcli.pages.figures import Figure, identity
from mfcli.pages.grids import bottom_grid, no_values
from mfcli.pages.legends import Entry, key
from mfcli.pages.marks import color_class, mark
from mfcli.pages.rows import row_names, row_numbers, row_places, zero_line
from mfcli.pages.scales import Scale, scale_of
from mfcli.pages.tables import Column, Table, column_texts


def interval_chart(title: str, rows: Sequence[Interval], axis: Axis, *, note: str = "") -> Chart:
    """Draw a dot with whiskers for each row, such as an estimate with its confidence interval.

    Parameters
    ----------
    title : str
    rows : sequence of Interval
        From top to bottom.
    axis : Axis
        Of the values. If it contains zero, there is a line at zero.
    note : str
        A remark below the chart.

    Returns
    -------
    Chart
    """
    scale = scale_of(axis, [v for row in rows for v in (row.value, row.low, row.high)], margin=0.03)
    groups = list(dict.fromkeys(row.group for row in rows))
    table = _table(rows, scale)
    names, left = row_names([row.name for row in rows])
    right = table.columns[0].texts
    numbers = row_numbers(right)
    dots = (
        _dot(row, place, scale, groups.index(row.group))
        for row, place in zip(rows, row_places(len(rows)), strict=True)
    )
    parts = [bottom_grid(scale), zero_line(scale), *dots, names, numbers]
    return Figure(
        title=title,
        description=interval_description(rows, axis),
        table=table,
        drawing=joined([no_values()] if scale.empty else parts),
        note=note,
        legend=[_entry(name, n) for n, name in enumerate(groups)] if len(groups) > 1 else [],
        left=left,
        right=right,
        below=axis.label,
        step=100 / max(1, len(rows)),
        rows=max(1, len(rows)),
    ).chart(identity("interval", title, note, table))


def _dot(row: Interval, place: float, scale: Scale, group: int) -> Markup:
    low, high = scale.place(row.low), scale.place(row.high)
    y = down(place)
    parts = []
    if not math.isnan(low + high):
        ends = {"x1": across(low), "x2": across(high), "y1": y, "y2": y}
        parts.append(element("line", class_="chart-whisker", **ends))
    if not math.isnan(value := scale.place(row.value)):
        parts.append(mark(group, value, place))
    return element("g", *parts, class_=color_class(group))


def _entry(name: str, group: int) -> Entry:
    line = element("line", class_="chart-whisker", x1=2, x2=26, y1=6, y2=6)
    return Entry(name, key(line, mark(group, 0.5, 0.5), color=color_class(group)))


def _table(rows: Sequence[Interval], scale: Scale) -> Table:
    count = len(rows)
    parts = ([row.value for row in rows], [row.low for row in rows], [row.high for row in rows])
    texts = column_texts(scale.axis, [value for part in parts for value in part])
    first = Column("Name", [row.name for row in rows], row_places(count))
    places = [scale.place(row.value) for row in rows]
    columns = [Column(scale.axis.label, texts[:count], places, series="")]
    if any(value is not None for part in parts[1:] for value in part):
        columns.append(Column("Low", texts[count : 2 * count], bound=True))
        columns.append(Column("High", texts[2 * count :], bound=True))
    if any(row.group for row in rows):
        columns.append(Column("Group", [row.group for row in rows]))
    return Table(first, columns)

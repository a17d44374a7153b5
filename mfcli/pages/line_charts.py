"""Charts of lines."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from mfcli.pages.charts import Axis, Chart, Line
from mfcli.pages.descriptions import line_description
from mfcli.pages.elements import across, down, element, joined
from mfcli.pages.figures import Figure, identity
from mfcli.pages.grids import baseline, bottom_axis, left_axis, no_values
from mfcli.pages.line_series import LineSeries, need_marks
from mfcli.pages.line_tables import line_table
from mfcli.pages.scales import Scale, scale_of
from mfcli.pages.thinned_lines import thinned, thinning_note


def line_chart(
    title: str,
    lines: Sequence[Line],
    x: Axis,
    y: Axis,
    *,
    diagonal: bool = False,
    note: str = "",
    column: str = "",
) -> Chart:
    """Draw lines.

    Parameters
    ----------
    title : str
    lines : sequence of Line
        Lines of more than 400 points are thinned; the chart says so.
    x, y : Axis
    diagonal : bool
        Whether to draw the line on which both values are equal.
    note : str
        A remark below the chart.
    column : str
        The name of the first column of the table; by default, that of the horizontal axis.

    Returns
    -------
    Chart
    """
    scale_x, scale_y = _scales(lines, x, y, diagonal)
    shown = thinned(lines, scale_x, y)
    marked = need_marks(shown)
    series = [LineSeries(one, n, len(shown), marked) for n, one in enumerate(shown)]
    table = line_table(shown, column or x.label, scale_x, scale_y)
    axis, left = left_axis(scale_y)
    parts = [axis, bottom_axis(scale_x), baseline()]
    drawn = [(one, one.points(scale_x, scale_y)) for one in series]
    parts += [one.band(points) for one, points in drawn]
    if diagonal and not (scale_x.empty or scale_y.empty):
        parts.append(_diagonal(scale_x, scale_y))
    parts += [one.line_and_marks(points) for one, points in drawn]
    if scale_x.empty or scale_y.empty:
        parts.append(no_values())
    return Figure(
        title=title,
        description=line_description(lines, x, y),
        table=table,
        drawing=joined(parts),
        note=" ".join(filter(None, (note, thinning_note(lines, shown)))),
        legend=[one.entry() for one in series] if len(series) > 1 else [],
        left=left,
        above=y.label,
        below=x.label,
    ).chart(identity("line", title, note, table))


def _scales(lines: Sequence[Line], x: Axis, y: Axis, diagonal: bool) -> tuple[Scale, Scale]:
    xs = [value for line in lines for value in line.x]
    ys = [v for line in lines for part in (line.y, line.low, line.high) for v in _list(part)]
    if diagonal:
        xs = ys = xs + ys
    return scale_of(x, xs), scale_of(y, ys, rounded=True)


def _list(part: Sequence[float | None] | None) -> Sequence[float | None]:
    return () if part is None else part


def _diagonal(x: Scale, y: Scale) -> Markup:
    low, high = max(x.low, y.low), min(x.high, y.high)
    return element(
        "line",
        class_="chart-reference",
        x1=across(x.fraction(low)),
        x2=across(x.fraction(high)),
        y1=down(y.fraction(low)),
        y2=down(y.fraction(high)),
    )

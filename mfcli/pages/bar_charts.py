"""Charts of bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mfcli.pages.bar_fills import bar_entry, fills
from mfcli.pages.bars import bars_across, bars_upright
from mfcli.pages.charts import Axis, Bars, Chart
from mfcli.pages.descriptions import bar_description
from mfcli.pages.elements import joined
from mfcli.pages.figures import Figure, identity
from mfcli.pages.grids import baseline, bottom_grid, bottom_texts, left_axis, no_values
from mfcli.pages.plain_text import shortened
from mfcli.pages.rows import row_names, row_numbers, row_places, zero_line
from mfcli.pages.scales import Scale, drawable, scale_of
from mfcli.pages.tables import Column, Table, column_texts
from mfcli.pages.thinning import kept

_SHORT = 12  # characters; longer labels need a row each
_MOST_ROWS = 40


class _Contents(NamedTuple):
    """What a chart shows, however its bars are laid out."""

    title: str
    labels: Sequence[str]
    bars: Sequence[Bars]
    x_label: str
    y: Axis
    note: str
    description: str

    @property
    def has_rows(self) -> bool:
        """Whether each label gets a row."""
        longest = max(map(len, self.labels), default=0)
        return len(self.bars) == 1 and len(self.labels) <= _MOST_ROWS and longest > _SHORT

    def table(self, scale: Scale, places: Sequence[float]) -> Table:
        columns = [
            Column(
                one.name or self.y.label,
                column_texts(self.y, one.values),
                [scale.place(value) for value in one.values],
                series=str(number),
            )
            for number, one in enumerate(self.bars)
        ]
        return Table(Column(self.x_label, list(self.labels), places), columns)


def bar_chart(
    title: str,
    labels: Sequence[str],
    bars: Sequence[Bars],
    x_label: str,
    y: Axis,
    *,
    note: str = "",
) -> Chart:
    """Draw bars from zero, or from the end of a logarithmic axis.

    Bars of one kind whose labels are long are drawn from left to right, in a row each.

    Parameters
    ----------
    title : str
    labels : sequence of str, shape (n,)
        What the bars are for. Of more than 400, those with the extremes are drawn.
    bars : sequence of Bars
        Several kinds are beside each other.
    x_label : str
        What labels are.
    y : Axis
        Of the values.
    note : str
        A remark below the chart.

    Returns
    -------
    Chart

    Raises
    ------
    ValueError
        If there are more or fewer values than labels.
    """
    if any(len(one.values) != len(labels) for one in bars):
        raise ValueError(f"the bars need {len(labels)} values, one for each label")
    chosen = _chosen(labels, bars, y)
    note = " ".join(filter(None, (note, _thinning_note(len(chosen), len(labels)))))
    description = bar_description(labels, bars, x_label, y)
    labels = [labels[index] for index in chosen]
    bars = [Bars(one.name, [one.values[index] for index in chosen]) for one in bars]
    contents = _Contents(title, labels, bars, x_label, y, note, description)
    return _rows(contents) if contents.has_rows else _upright(contents)


def _upright(contents: _Contents) -> Chart:
    labels, bars = contents.labels, contents.bars
    values = [value for one in bars for value in one.values]
    scale = scale_of(contents.y, values, rounded=True, zero=True)
    count = len(labels)
    table = contents.table(scale, [(n + 0.5) / count for n in range(count)])
    name = identity("bar", contents.title, contents.note, table)
    axis, left = left_axis(scale)
    below = bottom_texts([shortened(label, _SHORT) for label in labels])
    drawn = bars_upright(bars, scale, name)
    parts = [fills(len(bars), name), axis, drawn, baseline(scale), below]
    return Figure(
        title=contents.title,
        description=contents.description,
        table=table,
        drawing=joined([no_values()] if scale.empty else parts),
        note=contents.note,
        legend=[bar_entry(one.name, n, name) for n, one in enumerate(bars)] * (len(bars) > 1),
        left=left,
        above=contents.y.label,
        below=contents.x_label,
        step=100 / max(1, count),
    ).chart(name)


def _rows(contents: _Contents) -> Chart:
    labels, (bars,) = contents.labels, contents.bars
    scale = scale_of(contents.y, bars.values, zero=True)
    table = contents.table(scale, row_places(len(labels)))
    names, left = row_names(labels)
    right = table.columns[0].texts
    numbers = row_numbers(right)
    drawn = bars_across(bars, scale)
    parts = [bottom_grid(scale), drawn, zero_line(scale), names, numbers]
    return Figure(
        title=contents.title,
        description=contents.description,
        table=table,
        drawing=joined([no_values()] if scale.empty else parts),
        note=contents.note,
        left=left,
        right=right,
        below=contents.y.label,
        step=100 / len(labels),
        rows=len(labels),
    ).chart(identity("bar", contents.title, contents.note, table))


def _chosen(labels: Sequence[str], bars: Sequence[Bars], y: Axis) -> list[int]:
    count = len(labels)
    places = [index / count for index in range(count)]
    return kept(places, [[drawable(y, value) for value in one.values] for one in bars])


def _thinning_note(left: int, count: int) -> str:
    return "" if left == count else f"{left:,} of {count:,} bars are shown, with all extremes."

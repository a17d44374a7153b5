"""Several runs: how their measures differ, with paired intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from mfcli import evaluation
from mfcli.evaluation import (
    BEYOND,
    RANKING,
    RATING_ERROR,
    UNCERTAINTY,
    Comparison,
    FoldMetrics,
    Measure,
    Metrics,
    compare,
    interval_text,
    measure_of,
)
from mfcli.pages import Axis, Chart, Interval, interval_chart
from mfcli.reports.blocks import Block, Figures, Heading, Notice, Paragraph, Row, Section, Table
from mfcli.reports.meanings import meaning_of
from mfcli.reports.measured import not_measured, without_rankings
from mfcli.reports.runs import Run

_LEAD = (
    "Differences from the first run. On the same ratings, a difference is known more precisely than"
    " the measures themselves. If its interval excludes 0 (bold), it is probably not by chance."
)
_GROUPS = {
    "rmse": ("Rating errors", (RATING_ERROR, UNCERTAINTY)),
    "ndcg": ("Rankings", (RANKING, BEYOND)),
}
"""What is compared, by the measure that a run needs for it: a heading, and kinds of measures."""

_AnyMetrics: TypeAlias = Metrics | FoldMetrics


def comparison_section(runs: Sequence[Run]) -> Section | None:
    """Compare the runs with the first one; None if there is only one."""
    if len(runs) < 2:
        return None
    known = {run.name: run.metrics for run in runs if run.metrics}
    blocks: list[Block] = [not_measured(run) for run in runs if not run.metrics]
    some = {name: _having(known, name) for name in _GROUPS}
    if not any(len(one) > 1 for one in some.values()):
        # Runs of one kind for rating errors, and of another for rankings.
        blocks += [
            without_rankings(run) for run in runs if run.metrics and run.name not in some["ndcg"]
        ]
    for name, those in some.items():
        if len(those) > 1:
            blocks += _blocks(compare(those, any_protocol=True), name)
    return Section("comparison", "Comparison", _LEAD, blocks)


def _having(known: Mapping[str, _AnyMetrics], measure: str) -> dict[str, _AnyMetrics]:
    return {name: one for name, one in known.items() if one.measures.get(measure) is not None}


def _blocks(comparison: Comparison, main: str) -> list[Block]:
    title, kinds = _GROUPS[main]
    first, *others = comparison.runs
    blocks: list[Block] = [
        Heading(title), Paragraph(f"{evaluation.comparison_title(comparison)}.")
    ]  # fmt: skip
    if not comparison.same_protocol:
        blocks.append(_protocols(comparison))
    chart = _chart(comparison, main, first, others)
    names = [name for name in comparison.measures if _known(name).kind in kinds]
    rows = [_row(comparison, name, others) for name in names]
    columns = ["measure", *(text for run in others for text in (run, "95% interval"))]
    return [*blocks, Figures([chart]), Table(f"Differences from {first}", columns, rows)]


def _protocols(comparison: Comparison) -> Block:
    rows = evaluation.comparison_rows(comparison).get("Protocol", [])
    if not rows:  # the folds differ in something else than the first ones
        return Notice("The runs were measured in different ways, so there are no intervals.")
    plain = [Row(row.label, row.cells, differs=True) for row in rows]
    caption = "The runs were measured in different ways, so there are no intervals"
    return Table(caption, ["protocol", *comparison.runs], plain)


def _chart(comparison: Comparison, name: str, first: str, others: Sequence[str]) -> Chart:
    measure = _known(name)
    rows = [Interval(first, 0.0, None, None)]
    for run in others:
        one = comparison.difference(name, run)
        low, high = (one.interval if one else None) or (None, None)
        rows.append(Interval(run, one.value if one else None, low, high))
    note = f"{measure.better.capitalize()} values are better. The first run is at 0."
    axis = Axis(f"{measure.label} minus that of {first}")
    return interval_chart(f"Difference in {measure.label}", rows, axis, note=note)


def _row(comparison: Comparison, name: str, others: Sequence[str]) -> Row:
    measure = _known(name)
    form = f"+.{measure.digits}f"
    cells: list[str] = []
    strong: list[int] = []
    for run in others:
        one = comparison.difference(name, run)
        ends = one.interval if one else None
        if ends and not ends[0] <= 0 <= ends[1]:
            strong.append(len(cells))
        cells += [format(one.value, form) if one else "-", interval_text(ends, form)]
    return Row(measure.label, cells, note=meaning_of(name), strong=strong)


def _known(name: str) -> Measure:
    measure = measure_of(name)
    assert measure  # a comparison has no others
    return measure

"""Tables and charts of measures: runs beside each other and beside baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mfcli.evaluation import BASELINES, FoldMetrics, Measure, Metrics, interval_text
from mfcli.pages import Axis, Chart, Interval, interval_chart
from mfcli.reports.blocks import Row, Table
from mfcli.reports.meanings import meaning_of
from mfcli.reports.runs import Run


def measure_table(
    caption: str, runs: Sequence[Run], measures: Mapping[str, Measure], baselines: Sequence[str]
) -> Table:
    """Return a table with a row for each measure, of runs that have some of them.

    One run has a column for its interval, too. Baselines are those of the first run.
    """
    shown = {n: m for n, m in measures.items() if any(_of(run).get(n) is not None for run in runs)}
    rows = [_row(name, measure, runs, baselines) for name, measure in shown.items()]
    intervals = ["95% interval"] if len(runs) == 1 else []
    names = [run.name for run in runs]
    columns = ["measure", *names, *intervals, *(BASELINES[name] for name in baselines)]
    return Table(caption, columns, rows)


def _row(name: str, measure: Measure, runs: Sequence[Run], baselines: Sequence[str]) -> Row:
    values = [_of(run).get(name) for run in runs]
    best = measure.best(values)
    cells = list(map(measure.text, values))
    if len(runs) == 1:
        cells.append(interval_text(metrics_of(runs[0]).intervals.get(name)))
    cells += [measure.text(baseline_of(runs[0], other).get(name)) for other in baselines]
    unit = f" ({measure.unit})" if measure.unit else ""
    strong = [n for n, value in enumerate(values) if value is not None and value == best]
    return Row(f"{measure.label}{unit}", cells, note=meaning_of(name), strong=strong)


def measure_chart(
    measure: Measure, label: str, runs: Sequence[Run], baselines: Sequence[str], note: str
) -> Chart:
    """Return a chart of a measure of each run, with intervals, above those of baselines."""
    rows = [_interval(run.name, metrics_of(run), measure.name, "model") for run in runs]
    rows += [_baseline(runs[0], name, measure.name) for name in baselines]
    unit = f" ({measure.unit})" if measure.unit else ""
    return interval_chart(label, rows, Axis(f"{label}{unit}"), note=note)


def _interval(name: str, metrics: Metrics | FoldMetrics, measure: str, group: str) -> Interval:
    low, high = metrics.intervals.get(measure) or (None, None)
    return Interval(name, metrics.measures[measure] or 0.0, low, high, group)


def _baseline(run: Run, name: str, measure: str) -> Interval:
    metrics, label = metrics_of(run), BASELINES[name]
    value = baseline_of(run, name).get(measure)
    ends = None
    if isinstance(metrics, Metrics):
        ends = metrics.baselines[name].intervals.get(measure)
    low, high = ends or (None, None)
    return Interval(label, value if value is not None else 0.0, low, high, "baseline")


def metrics_of(run: Run) -> Metrics | FoldMetrics:
    """Return the metrics of a run that has some."""
    assert run.metrics  # the callers leave out runs without metrics
    return run.metrics


def baseline_of(run: Run, name: str) -> Mapping[str, float | None]:
    """Return the measures of a baseline of a run; empty if it was not measured."""
    baselines = metrics_of(run).baselines
    return baselines[name].measures if name in baselines else {}


def _of(run: Run) -> Mapping[str, float | None]:
    return metrics_of(run).measures

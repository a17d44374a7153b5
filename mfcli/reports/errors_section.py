"""Errors of predicted ratings, beside those of baselines, and how certain predictions are."""

from __future__ import annotations

from collections.abc import Sequence

from mfcli.evaluation import (
    BASELINES,
    GROUPS,
    MEASURES,
    RATING_ERROR,
    UNCERTAINTY,
    FoldMetrics,
    Metrics,
    interval_text,
    measures_of,
)
from mfcli.reports.blocks import Block, Figures, Heading, Paragraph, Row, Section, Table
from mfcli.reports.measure_tables import measure_chart, measure_table, metrics_of
from mfcli.reports.measured import Measured, measured_differently, measured_models, not_measured
from mfcli.reports.runs import Run

_LEAD = (
    "How far predicted ratings are from those that users gave. Every model must beat two simple"
    " ones: the mean of all training ratings, and the mean plus a bias of the user and of the item"
    " (damped, so that few ratings count little)."
)
_KNOWN = {
    "warm": "user and item have training ratings",
    "unseen_user": "only the item has training ratings",
    "unseen_item": "only the user has training ratings",
    "unseen_both": "neither has training ratings",
}
_SIMPLE = ("biases", "mean")
_RMSE = MEASURES["rmse"]
_INTERVALS = (
    "The whiskers are 95% intervals: the range of values that other users of the same kind would"
    " probably give."
)


def errors_section(runs: Sequence[Run]) -> Section:
    """Show the rating errors of the runs that predict ratings."""
    known = [run for run in runs if run.metrics and run.metrics.has_errors]
    blocks: list[Block] = [_missing(run) for run in runs if run not in known]
    if known:
        simple = [name for name in _SIMPLE if name in metrics_of(known[0]).baselines]
        blocks += [
            Paragraph(_measured_on(known[0])),
            *measured_differently(known),
            Figures([measure_chart(_RMSE, "RMSE", known, simple, _INTERVALS)]),
            measure_table("Rating errors", known, measures_of(RATING_ERROR), simple),
            *_details(known),
        ]
    return Section("errors", "Rating errors", _LEAD, blocks)


def _missing(run: Run) -> Block:
    if not run.metrics:
        return not_measured(run)
    if run.predicts == "scores":
        text = f"{run.name} predicts scores, which only rank items; it has no rating errors."
        return Paragraph(text)
    return Paragraph(f"{run.name} is about events, not ratings; it has no rating errors.")


def _measured_on(run: Run) -> str:
    metrics = metrics_of(run)
    protocol = metrics.protocols[0]
    ratings = sum(one.ratings for one in metrics.protocols)
    folds = f" of {len(metrics.protocols)} folds" if isinstance(metrics, FoldMetrics) else ""
    users = f" by {protocol.users:,} users" if not folds else ""
    clip = "are clipped to the rating scale" if protocol.settings.get("clip") else "are not clipped"
    return f"Measured on {ratings:,} {protocol.rows}{folds}{users}; predictions {clip}."


def _details(runs: Sequence[Run]) -> list[Block]:
    blocks: list[Block] = [
        _folds(run.name, run.metrics) for run in runs if isinstance(run.metrics, FoldMetrics)
    ]
    models = [one for one in measured_models(runs) if one.metrics.has_errors]
    if any(one.metrics.baselines["biases"].gain is not None for one in models):
        blocks.append(_gains(models))
    blocks.append(_groups(models))
    blocks += [table for one in models for table in _overlap(one)]
    blocks += _uncertainty(runs, models)
    return blocks


def _folds(name: str, metrics: FoldMetrics) -> Table:
    measures = [m for n, m in measures_of(RATING_ERROR).items() if n in metrics.measures]
    rows = [
        Row(f"fold {number}", [m.text(fold.measures.get(m.name)) for m in measures])
        for number, fold in enumerate(metrics.folds, start=1)
    ]
    for label, values in (
        ("mean", metrics.measures),
        ("standard deviation", metrics.standard_deviations),
    ):
        rows.append(Row(label, [m.text(values.get(m.name)) for m in measures]))
    return Table(f"Folds of {name}", ["", *(measure.label for measure in measures)], rows)


def _gains(models: Sequence[Measured]) -> Table:
    """Tell how much lower the RMSE of the models is than that of each baseline."""
    rows = [Row(one.name, [text for n in _SIMPLE for text in _gain(one.metrics, n)])
            for one in models]  # fmt: skip
    columns = ["", *(label for n in _SIMPLE for label in (BASELINES[n], "95% interval"))]
    return Table("Improvement of the RMSE over baselines", columns, rows)


def _gain(metrics: Metrics, name: str) -> tuple[str, str]:
    baseline = metrics.baselines[name]
    gain = "-" if baseline.gain is None else f"{baseline.gain:.2%}"
    return gain, interval_text(baseline.gain_interval, ".2%")


def _groups(models: Sequence[Measured]) -> Table:
    """Tell the errors for known and unseen users and items; groups without ratings are left out."""
    found = {name: [one.metrics.groups[name] for one in models] for name in GROUPS}
    full = {name: groups for name, groups in found.items() if any(one.ratings for one in groups)}
    same = all(len({one.ratings for one in groups}) == 1 for groups in full.values())
    rows, columns = [], ["", *(["ratings"] if same else [])]
    for one in models:
        own = f"{one.name}: " if len(models) > 1 else ""
        columns += [f"{own}RMSE"] if same else [f"{own}ratings", f"{own}RMSE"]
    for name, groups in full.items():
        sizes, errors = [f"{one.ratings:,}" for one in groups], [_RMSE.text(g.rmse) for g in groups]
        pairs = [text for pair in zip(sizes, errors, strict=True) for text in pair]
        cells = [sizes[0], *errors] if same else pairs
        rows.append(Row(GROUPS[name], cells, note=_KNOWN[name]))
    return Table("Errors for users and items with and without training ratings", columns, rows)


def _overlap(one: Measured) -> list[Table]:
    found = one.metrics.overlap
    if not found or not found.trained_on.ratings:
        return []
    parts = {"trained on": found.trained_on, "others": found.others}
    rows = [
        Row(name, [f"{part.ratings:,}", _RMSE.text(part.rmse), MEASURES["mae"].text(part.mae)])
        for name, part in parts.items()
    ]
    return [Table(f"Errors of {one.name} by training", ["", "ratings", "RMSE", "MAE"], rows)]


def _uncertainty(runs: Sequence[Run], models: Sequence[Measured]) -> list[Block]:
    """Tell how well the predicted distributions describe the ratings, where there are some."""
    sampled = [one for one in models if one.metrics.protocol.samples is not None]
    if not sampled:
        return []
    protocol = sampled[0].metrics.protocol
    level = protocol.interval_level or 0.0
    rows = [
        Row(f"{one.name}: {GROUPS.get(name, name)}", [f"{group.ratings:,}", *_coverage(group)])
        for one in sampled
        for name, group in one.metrics.groups.items()
        if group.ratings
    ]
    having = [run for run in runs if "log_score" in metrics_of(run).measures]
    text = (
        f"For each rating, the model predicts a distribution, from {protocol.samples} samples."
        f" Of the ratings, {level:.0%} should be inside their intervals."
    )
    return [
        Heading("Uncertainty"),
        Paragraph(text),
        measure_table("Predicted distributions", having, measures_of(UNCERTAINTY), []),
        Table("Intervals by group", ["", "ratings", "coverage", "width", "log score"], rows),
    ]


def _coverage(group: object) -> list[str]:
    values = (getattr(group, name) for name in ("coverage", "width", "log_score"))
    return ["-" if value is None else f"{value:.4f}" for value in values]

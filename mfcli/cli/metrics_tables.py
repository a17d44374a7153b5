"""Tables of what `mfcli evaluate` measured."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mfcli import evaluation, splits
from mfcli.cli.tables import Table, print_paragraph, print_table, table as make_table

if TYPE_CHECKING:
    from mfcli.evaluation import FoldMetrics, Metrics, Overlap, Verdict

_INTERVAL = "95% interval"


def print_metrics(metrics: Metrics, out: Path) -> None:
    """Print the metrics of one model."""
    print_table(_errors_table(metrics, out))
    # Usually none of the ratings was trained on, and the table would say nothing.
    if metrics.overlap and metrics.overlap.trained_on.ratings:
        print_table(_overlap_table(metrics.overlap))
    print_table(_groups_table(metrics))
    if metrics.protocol.ranked_users is not None:
        print_table(_ranking_table(metrics))
    _print_verdict(metrics.verdict)


def _print_verdict(verdict: Verdict | None) -> None:
    for text in (verdict.text, verdict.published) if verdict else ():
        if text:
            print_paragraph(text)


def print_fold_metrics(over: FoldMetrics, out: Path) -> None:
    """Print the metrics of the models of a k-fold split, their mean and standard deviation."""
    rmse = evaluation.MEASURES["rmse"]
    # There may be many folds, so they are rows, and a narrow screen has room for few measures.
    names = [name for name in ("rmse", "mae", "ndcg") if name in over.measures]
    shown = [evaluation.MEASURES[name] for name in names]
    title = f"{out}: {len(over.folds)} folds, each on its {splits.ratings_of(over.protocols[0].on)}"
    labels = [measure.label for measure in shown]
    table = make_table(title, "", *labels, f"{rmse.label} of damped biases")

    def add(
        name: str, model: Mapping[str, float | None], biases: Mapping[str, float | None]
    ) -> None:
        cells = (measure.text(model[measure.name]) for measure in shown)
        table.add_row(name, *cells, rmse.text(biases[rmse.name]))

    for number, fold in enumerate(over.folds, start=1):
        add(f"fold {number}", fold.measures, fold.baselines["biases"].measures)
    table.add_section()
    biases = over.baselines["biases"]
    add("mean", over.measures, biases.measures)
    add("standard deviation", over.standard_deviations, biases.standard_deviations)
    ends = [over.intervals.get(name) or (None, None) for name in names]
    # In two rows, because columns with intervals would be twice as wide.
    for side, values in zip(("low", "high"), zip(*ends, strict=True), strict=True):
        texts = (measure.text(value) for measure, value in zip(shown, values, strict=True))
        table.add_row(f"{_INTERVAL}, {side}", *texts, "-")
    print_table(table)
    _print_verdict(over.verdict)


def _errors_table(metrics: Metrics, out: Path) -> Table:
    protocol = metrics.protocol
    settings = protocol.settings
    clipped = "clipped" if settings["clip"] else "not clipped"
    title = (
        f"{out}: {protocol.ratings:,} {splits.ratings_of(protocol.on)}, predictions {clipped},"
        f" damping {settings['damping']:g}"
    )
    table = make_table(title, "", "model", _INTERVAL, "damped biases", "training mean")
    names = ("biases", "mean")
    _add_measures(table, metrics, evaluation.RATING_ERROR, names)
    others = [metrics.baselines[name] for name in names]
    table.add_section()
    table.add_row("model's gain", "", "", *(f"{other.gain:.2%}" for other in others))
    table.add_row(
        _INTERVAL,
        "",
        "",
        *(evaluation.interval_text(other.gain_interval, ".2%") for other in others),
    )
    return table


def _overlap_table(overlap: Overlap) -> Table:
    rmse, mae = (evaluation.MEASURES[name] for name in ("rmse", "mae"))
    table = make_table("Errors by training", "", "ratings", rmse.label, mae.label)
    for name, part in (("trained on", overlap.trained_on), ("others", overlap.others)):
        table.add_row(name, f"{part.ratings:,}", rmse.text(part.rmse), mae.text(part.mae))
    return table


def _groups_table(metrics: Metrics) -> Table:
    rmse = evaluation.MEASURES["rmse"]
    title = f"{rmse.label} for known and unseen users and items"
    table = make_table(title, "", "ratings", rmse.label)
    for name, group in metrics.groups.items():
        label = evaluation.GROUPS.get(name, name)
        table.add_row(label, f"{group.ratings:,}", rmse.text(group.rmse))
    return table


def _ranking_table(metrics: Metrics) -> Table:
    protocol = metrics.protocol
    settings = protocol.settings
    title = (
        f"Rankings of {settings['at']} items for {protocol.ranked_users:,} users; relevant: rated"
        f" {settings['relevant']:g} or more ({protocol.relevant_share:.1%})"
    )
    table = make_table(title, "", "model", _INTERVAL, "most popular", "damped biases")
    _add_measures(table, metrics, evaluation.RANKING, ("popular", "biases"))
    return table


def _add_measures(table: Table, metrics: Metrics, kind: str, baselines: tuple[str, ...]) -> None:
    """Add one row per measure of a kind: the model, its interval, and baselines."""
    for name, measure in evaluation.measures_of(kind).items():
        others = [metrics.baselines[other].measures[name] for other in baselines]
        model, *rest = map(measure.text, [metrics.measures[name], *others])
        table.add_row(
            measure.label, model, evaluation.interval_text(metrics.intervals.get(name)), *rest
        )

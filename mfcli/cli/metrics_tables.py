"""Tables of what `mfcli evaluate` measured."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mfcli import evaluation
from mfcli.cli.tables import Table, print_paragraph, print_table, table as make_table

if TYPE_CHECKING:
    from mfcli.evaluation import FoldMetrics, Metrics, Overlap, Protocol, Verdict

_INTERVAL = "95% interval"
_RANKERS = ("popular", "biases")  # beside the model


def print_metrics(metrics: Metrics, out: Path) -> None:
    """Print the metrics of one model."""
    if metrics.has_errors:
        print_table(_errors_table(metrics, out))
        # Usually none of the ratings was trained on, and the table would say nothing.
        if metrics.overlap and metrics.overlap.trained_on.ratings:
            print_table(_overlap_table(metrics.overlap))
        if metrics.protocol.samples is not None:
            print_table(_uncertainty_table(metrics))
        print_table(_groups_table(metrics))
    if metrics.protocol.ranked_users is not None:
        print_table(_ranking_table(metrics, out))
        if len(metrics.protocol.cutoffs) > 1:
            print_table(_cutoffs_table(metrics))
        print_table(_beyond_table(metrics))
    _print_verdict(metrics.verdict)


def _print_verdict(verdict: Verdict | None) -> None:
    for text in (verdict.text, verdict.published) if verdict else ():
        if text:
            print_paragraph(text)


def print_fold_metrics(over: FoldMetrics, out: Path) -> None:
    """Print the metrics of the models of a k-fold split, their mean and standard deviation."""
    chosen = ("rmse", "mae", "ndcg") if over.has_errors else ("ndcg", "recall", "map")
    other = "biases" if over.has_errors else "popular"
    main = evaluation.MEASURES[chosen[0]]
    # There may be many folds, so they are rows, and a narrow screen has room for few measures.
    names = [name for name in chosen if name in over.measures]
    shown = [evaluation.MEASURES[name] for name in names]
    title = f"{out}: {len(over.folds)} folds, each on its {over.protocols[0].rows}"
    labels = [measure.label for measure in shown]
    table = make_table(title, "", *labels, f"{main.label} of {evaluation.BASELINES[other]}")

    def add(
        name: str, model: Mapping[str, float | None], other: Mapping[str, float | None]
    ) -> None:
        cells = (measure.text(model[measure.name]) for measure in shown)
        table.add_row(name, *cells, main.text(other[main.name]))

    for number, fold in enumerate(over.folds, start=1):
        add(f"fold {number}", fold.measures, fold.baselines[other].measures)
    table.add_section()
    baseline = over.baselines[other]
    add("mean", over.measures, baseline.measures)
    add("standard deviation", over.standard_deviations, baseline.standard_deviations)
    ends = [over.intervals.get(name) or (None, None) for name in names]
    # In two rows, because columns with intervals would be twice as wide.
    for side, values in zip(("low", "high"), zip(*ends, strict=True), strict=True):
        texts = (measure.text(value) for measure, value in zip(shown, values, strict=True))
        table.add_row(f"{_INTERVAL}, {side}", *texts, "-")
    print_table(table)
    if "log_score" in over.measures:
        print_table(_fold_uncertainty_table(over))
    _print_verdict(over.verdict)


def _fold_uncertainty_table(over: FoldMetrics) -> Table:
    """Make a table of how well the distributions that each fold predicts describe its ratings."""
    shown = evaluation.measures_of(evaluation.UNCERTAINTY).values()
    level = over.protocols[0].interval_level or 0.0
    title = f"Predicted distributions: {level:.0%} intervals"
    table = make_table(title, "", *(measure.label for measure in shown))
    rows: dict[str, Mapping[str, float | None]] = {
        **{f"fold {number}": fold.measures for number, fold in enumerate(over.folds, start=1)},
        "mean": over.measures,
        "standard deviation": over.standard_deviations,
    }
    for name, values in rows.items():
        table.add_row(name, *(measure.text(values.get(measure.name)) for measure in shown))
    return table


def _errors_table(metrics: Metrics, out: Path) -> Table:
    protocol = metrics.protocol
    settings = protocol.settings
    clipped = "clipped" if settings["clip"] else "not clipped"
    title = (
        f"{out}: {protocol.ratings:,} {protocol.rows}, predictions {clipped},"
        f" damping {settings['damping']:g}"
    )
    names = ("biases", "mean")
    table = _measures_table(title, metrics, evaluation.RATING_ERROR, names)
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
    has_intervals = metrics.protocol.samples is not None
    what, columns = rmse.label, ["ratings", rmse.label]
    if has_intervals:
        what, columns = f"{what} and intervals", [*columns, "coverage", "width", "log score"]
    table = make_table(f"{what} for known and unseen users and items", "", *columns)
    for name, group in metrics.groups.items():
        values = [group.rmse, group.coverage, group.width, group.log_score]
        cells = map(rmse.text, values[: len(columns) - 1])
        table.add_row(evaluation.GROUPS.get(name, name), f"{group.ratings:,}", *cells)
    return table


def _uncertainty_table(metrics: Metrics) -> Table:
    """Make a table of how well predicted distributions describe the ratings."""
    protocol, measures = metrics.protocol, metrics.measures
    level = protocol.interval_level or 0.0
    title = f"Predicted distributions: {level:.0%} intervals, {protocol.samples} samples"
    table = make_table(title, "", "model", _INTERVAL, "constant variance")
    for name, measure in evaluation.measures_of(evaluation.UNCERTAINTY).items():
        ends = evaluation.interval_text(metrics.intervals.get(name))
        other = measure.text(metrics.constant_log_score) if name == "log_score" else ""
        table.add_row(measure.label, measure.text(measures[name]), ends, other)
    return table


def _ranking_table(metrics: Metrics, out: Path) -> Table:
    protocol = metrics.protocol
    title = f"Rankings of {_items(protocol)}"
    if not metrics.has_errors:  # nothing above has named the file
        title = f"{out}: {protocol.ratings:,} {protocol.rows}, rankings of {_items(protocol)}"
    title += f" for {protocol.ranked_users:,} users; relevant: {_relevant(protocol)}"
    return _measures_table(title, metrics, evaluation.RANKING, _RANKERS)


def _items(protocol: Protocol) -> str:
    """Return the number of items of a ranking, with the protocol if it is not the usual one."""
    settings, items = protocol.settings, f"{protocol.cutoffs[0]} items"
    name = settings.get("protocol", "unrated")
    if "fold_in_fraction" in settings:
        return f"{items} ({name}, {settings['fold_in_fraction']:.0%} folded in)"
    return items if name == "unrated" else f"{items} ({name})"


def _relevant(protocol: Protocol) -> str:
    relevant = protocol.settings.get("relevant")
    if relevant is not None:
        return f"rated {relevant:g} or more ({protocol.relevant_share:.1%})"
    if protocol.settings.get("protocol") == "leave-last-out":
        return "the last held-out item"
    return "all held-out items"


def _cutoffs_table(metrics: Metrics) -> Table:
    """Make a table of all cutoffs; they are rows, because there may be many."""
    main, *_ = cutoffs = metrics.protocol.cutoffs
    measures = evaluation.measures_of(evaluation.RANKING)
    table = make_table("Rankings by cutoff", "", *(one.label for one in measures.values()))
    popular = metrics.baselines["popular"].measures
    labels = "model", evaluation.BASELINES["popular"]
    for label, values in zip(labels, (metrics.measures, popular), strict=True):
        for cutoff in cutoffs:
            names = {name: evaluation.at_cutoff(name, cutoff, main) for name in measures}
            cells = (measures[name].text(values.get(full)) for name, full in names.items())
            table.add_row(f"{label} @{cutoff}", *cells)
        table.add_section()
    return table


def _beyond_table(metrics: Metrics) -> Table:
    title = f"Beyond accuracy, in rankings of {metrics.protocol.cutoffs[0]} items"
    return _measures_table(title, metrics, evaluation.BEYOND, _RANKERS)


def _measures_table(title: str, metrics: Metrics, kind: str, baselines: tuple[str, ...]) -> Table:
    """Make a table with one row per measure of a kind: the model, its interval, and baselines."""
    labels = (evaluation.BASELINES[name] for name in baselines)
    table = make_table(title, "", "model", _INTERVAL, *labels)
    for name, measure in evaluation.measures_of(kind).items():
        others = [metrics.baselines[other].measures[name] for other in baselines]
        model, *rest = map(measure.text, [metrics.measures[name], *others])
        ends = evaluation.interval_text(metrics.intervals.get(name))
        # The unit of a rating is that of the ratings file; others are not obvious.
        label = (
            f"{measure.label} ({measure.unit})"
            if kind == evaluation.BEYOND and measure.unit
            else measure.label
        )
        table.add_row(label, model, ends, *rest)
    return table

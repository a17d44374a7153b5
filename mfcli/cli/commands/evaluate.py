"""`mfcli evaluate`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import TimeRemainingColumn
from rich.table import Table

from mfcli.cli import output
from mfcli.cli.inputs import columns_of, place_for_rejected, read_files
from mfcli.cli.options import (
    AsJson,
    At,
    Clip,
    ConfigFile,
    Damping,
    Decimal,
    Duplicates,
    ItemColumn,
    ModelFolder,
    OnBadRow,
    Quiet,
    RatingColumn,
    Relevant,
    Resamples,
    Seed,
    SplitFolder,
    Threads,
    TimeColumn,
    UserColumn,
    refuse,
    settings_of,
)
from mfcli.config import Config

if TYPE_CHECKING:
    from mfcli.data import Ratings
    from mfcli.evaluation import FoldMetrics, Metrics

_LEVEL = "95% interval"


def evaluate(
    ctx: typer.Context,
    on: Annotated[
        str, typer.Option(help="Ratings to evaluate on: test, valid, train or a ratings file.")
    ] = "test",
    ranking: Annotated[
        bool, typer.Option("--ranking", help="Measure rankings of items, too.")
    ] = False,
    at: At = Config.at,
    relevant: Relevant = Config.relevant,
    clip: Clip = Config.clip,
    damping: Damping = Config.damping,
    resamples: Resamples = Config.resamples,
    seed: Seed = Config.seed,
    split: SplitFolder = Path("split"),
    model: ModelFolder = Path("model"),
    any_split: Annotated[
        bool, typer.Option("--any-split", help="Even if the model was trained on another split.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="File to write the metrics to.",
            show_default="metrics.json beside the model",
        ),
    ] = None,
    duplicates: Duplicates = Config.duplicates,
    on_bad_row: OnBadRow = Config.on_bad_row,
    user_col: UserColumn = None,
    item_col: ItemColumn = None,
    rating_col: RatingColumn = None,
    time_col: TimeColumn = None,
    decimal: Decimal = Config.decimal,
    threads: Threads = None,
    config: ConfigFile = None,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure a model, with intervals, beside simple baselines.

    The models of a k-fold split are measured each on its fold.
    """
    from mfcli.evaluation import FoldMetrics
    from mfcli.splits import folds_of
    from mfcli.storage import check_writable_file

    settings = settings_of(ctx)
    if not ranking:
        refuse(ctx, ("at", "relevant"), "rating errors alone", "give --ranking")
    target = out or model.parent / "metrics.json"
    check_writable_file(target)
    measure = partial(
        _measure,
        on=on,
        columns=columns_of(user_col, item_col, rating_col, time_col),
        settings=settings,
        any_split=any_split,
        ranking=ranking,
        threads=threads,
        quiet=quiet,
    )
    folds = folds_of(split)
    if folds:
        over = FoldMetrics.of([measure(f, model.parent / f.name / model.name) for f in folds])
        over.write(target)
        output.show(over.as_dict(), json, lambda: _folds_table(over, target))
    else:
        metrics = measure(split, model)
        metrics.write(target)
        output.show(metrics.as_dict(), json, lambda: _metrics_tables(metrics, target))


def _measure(
    split: Path,
    model: Path,
    on: str,
    columns: dict[str, str],
    settings: Config,
    any_split: bool,
    ranking: bool,
    threads: int | None,
    quiet: bool,
) -> Metrics:
    from mfcli.evaluation import evaluate
    from mfcli.model import Model, check_same_split
    from mfcli.splits import PARTS, read_split

    parts, trained = read_split(split), Model.load(model)
    if not any_split:
        check_same_split(
            trained, parts.hash, model, split, "evaluate all the same with --any-split"
        )
    ratings = on if on in PARTS else _read_others(on, columns, settings, quiet)
    with output.bar("evaluating", quiet, TimeRemainingColumn()) as (_, on_progress):
        return evaluate(
            trained,
            parts,
            settings,
            on=ratings,
            ranking=ranking,
            threads=threads,
            on_progress=on_progress,
        )


def _read_others(name: str, columns: dict[str, str], settings: Config, quiet: bool) -> Ratings:
    with place_for_rejected(settings) as rejected:
        return read_files([name], columns, settings, quiet, rejected)


def _metrics_tables(metrics: Metrics, out: Path) -> None:
    output.print_table(_errors_table(metrics, out))
    output.print_table(_groups_table(metrics))
    if metrics.protocol.ranked_users is not None:
        output.print_table(_ranking_table(metrics))


def _errors_table(metrics: Metrics, out: Path) -> Table:
    protocol = metrics.protocol
    clipped = "clipped" if protocol.settings["clip"] else "not clipped"
    title = f"{out}: {protocol.ratings:,} {protocol.on} ratings, predictions {clipped}"
    biases = f"damped biases ({protocol.settings['damping']:g})"
    table = output.table(title, "", "model", _LEVEL, biases, "training mean")
    _add_measures(table, metrics, "rating error", ("biases", "mean"))
    others = [metrics.baselines[name] for name in ("biases", "mean")]
    table.add_section()
    table.add_row("model's gain", "", "", *(f"{other.gain:.2%}" for other in others))
    table.add_row(_LEVEL, "", "", *(_interval(other.gain_interval, ".2%") for other in others))
    return table


def _add_measures(table: Table, metrics: Metrics, kind: str, baselines: tuple[str, ...]) -> None:
    from mfcli.evaluation import measures_of

    for name, measure in measures_of(kind).items():
        others = [metrics.baselines[other].measures[name] for other in baselines]
        model, *rest = map(measure.text, [metrics.measures[name], *others])
        table.add_row(measure.label, model, _interval(metrics.intervals.get(name)), *rest)


def _groups_table(metrics: Metrics) -> Table:
    from mfcli.evaluation import MEASURES

    table = output.table("Errors by training ratings", "", "ratings", MEASURES["rmse"].label)
    for name, group in metrics.groups.items():
        text = MEASURES["rmse"].text(group.rmse)
        table.add_row(name.replace("_", " "), f"{group.ratings:,}", text)
    return table


def _ranking_table(metrics: Metrics) -> Table:
    protocol = metrics.protocol
    title = (
        f"The first {protocol.settings['at']} of each ranking; relevant: rated"
        f" {protocol.settings['relevant']:g} or more ({protocol.relevant_share:.1%} of the ratings,"
        f" {protocol.ranked_users:,} users)"
    )
    table = output.table(title, "", "model", _LEVEL, "most popular", "damped biases")
    _add_measures(table, metrics, "ranking", ("popular", "biases"))
    return table


def _interval(ends: tuple[float, float] | None, form: str = ".4f") -> str:
    return "-" if ends is None else f"{ends[0]:{form}} to {ends[1]:{form}}"


def _folds_table(over: FoldMetrics, out: Path) -> None:
    from mfcli.evaluation import MEASURES

    protocol = over.protocols[0]
    title = f"{out}: {len(over.folds)} folds, each on its {protocol.on} ratings"
    shown = [MEASURES[name] for name in ("rmse", "mae", "ndcg") if name in over.measures]
    rmse = MEASURES["rmse"]
    labels = [measure.label for measure in shown]
    table = output.table(title, "", *labels, f"{rmse.label} of damped biases")

    def add(name: str, model: Mapping[str, Any], biases: Mapping[str, Any]) -> None:
        cells = (measure.text(model[measure.name]) for measure in shown)
        table.add_row(name, *cells, rmse.text(biases["rmse"]))

    for number, fold in enumerate(over.folds, start=1):
        add(f"fold {number}", fold.measures, fold.baselines["biases"].measures)
    table.add_section()
    biases = over.baselines["biases"]
    add("mean", over.measures, biases.measures)
    add("standard deviation", over.standard_deviations, biases.standard_deviations)
    ends = (_interval(over.intervals.get(measure.name)) for measure in shown)
    table.add_row(f"{_LEVEL} of the mean", *ends, "-")
    output.print_table(table)

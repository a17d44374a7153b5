"""`mfcli evaluate`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    from mfcli.evaluation import FoldMetrics, Metrics, RankingMetrics

_LEVEL = "95% interval"
_ERRORS = {"rmse": "RMSE", "mse": "MSE", "mae": "MAE", "r2": "R2", "user_rmse": "RMSE by user"}
_RANKING = {
    "ndcg": "NDCG",
    "recall": "recall",
    "precision": "precision",
    "map": "MAP",
    "mrr": "MRR",
    "hit_rate": "hit rate",
    "coverage": "coverage",
    "popularity": "popularity",
}


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
        over = FoldMetrics([measure(f, model.parent / f.name / model.name) for f in folds])
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
    if metrics.ranking:
        output.print_table(_ranking_table(metrics.ranking))


def _errors_table(metrics: Metrics, out: Path) -> Table:
    protocol, plain = metrics.protocol, metrics.as_dict()
    clipped = "clipped" if protocol["clip"] else "not clipped"
    title = f"{out}: {protocol['ratings']:,} {protocol['on']} ratings, predictions {clipped}"
    biases = f"damped biases ({protocol['damping']:g})"
    table = output.table(title, "", "model", _LEVEL, biases, "training mean")
    others = [plain["baselines"][name] for name in ("biases", "mean")]
    for name, label in _ERRORS.items():
        numbers = [plain[name], plain["intervals"][name], *(other[name] for other in others)]
        table.add_row(label, *map(_number, numbers))
    table.add_section()
    table.add_row("model's gain", "", "", *(f"{other['gain']:.2%}" for other in others))
    gains = [other["intervals"]["gain"] for other in others]
    table.add_row(_LEVEL, "", "", *(_number(gain, ".2%") for gain in gains))
    return table


def _groups_table(metrics: Metrics) -> Table:
    table = output.table("The model by what train has seen", "", "ratings", "RMSE")
    for name, group in metrics.groups.items():
        table.add_row(name.replace("_", " "), f"{group['ratings']:,}", _number(group["rmse"]))
    return table


def _ranking_table(ranking: RankingMetrics) -> Table:
    title = (
        f"The first {ranking.at} of each ranking; relevant: rated {ranking.relevant:g} or more"
        f" ({ranking.share:.1%} of the ratings, {ranking.users:,} users)"
    )
    table = output.table(title, "", "model", _LEVEL, "most popular", "damped biases")
    model, popular, biases = (r.as_dict() for r in (ranking.model, ranking.popular, ranking.biases))
    for name, label in _RANKING.items():
        numbers = [model[name], model["intervals"].get(name), popular[name], biases[name]]
        table.add_row(label, *map(_number, numbers))
    return table


def _number(value: float | list[float] | None, form: str = ".4f") -> str:
    """Show a number or an interval to four digits."""
    if value is None:
        return "-"
    if isinstance(value, list):
        return f"{value[0]:{form}} to {value[1]:{form}}"
    return f"{value:{form}}"


def _folds_table(over: FoldMetrics, out: Path) -> None:
    result = over.as_dict()
    title = f"{out}: {len(over.folds)} folds, each on its {over.folds[0].protocol['on']} ratings"
    ranked = {"ndcg": f"NDCG@{over.folds[0].ranking.at}"} if over.folds[0].ranking else {}
    shown = {"rmse": "RMSE", "mae": "MAE", "biases_rmse": "RMSE of damped biases"} | ranked
    table = output.table(title, "", *shown.values())
    for number, fold in enumerate(result["folds"], start=1):
        values = fold | {"biases_rmse": fold["baselines"]["biases"]["rmse"]}
        values |= fold["ranking"]["model"] if ranked else {}
        table.add_row(f"fold {number}", *(_number(values[name]) for name in shown))
    table.add_section()
    for name in ("mean", "standard_deviation"):
        row = result[name]
        table.add_row(name.replace("_", " "), *(_number(row[name]) for name in shown))
    row = {name: result["intervals"].get(name) for name in shown}
    table.add_row(f"{_LEVEL} of the mean", *(_number(value) for value in row.values()))
    output.print_table(table)

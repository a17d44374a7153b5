"""`mfcli evaluate`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfcli import output
from mfcli.commands.inputs import columns_of, ratings_of
from mfcli.commands.options import (
    AsJson,
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
    SplitFolder,
    TimeColumn,
    UserColumn,
    settings_of,
)
from mfcli.config import Config

if TYPE_CHECKING:
    from mfcli.evaluation import FoldMetrics, Metrics


def evaluate(
    ctx: typer.Context,
    on: Annotated[
        str, typer.Option(help="Ratings to evaluate on: test, valid, train or a ratings file.")
    ] = "test",
    clip: Clip = Config.clip,
    damping: Damping = Config.damping,
    split: SplitFolder = Path("split"),
    model: ModelFolder = Path("model"),
    any_split: Annotated[
        bool, typer.Option("--any-split", help="Even if the model was trained on another split.")
    ] = False,
    out: Annotated[Path, typer.Option("--out", help="File to write the metrics to.")] = Path(
        "metrics.json"
    ),
    duplicates: Duplicates = Config.duplicates,
    on_bad_row: OnBadRow = Config.on_bad_row,
    user_col: UserColumn = None,
    item_col: ItemColumn = None,
    rating_col: RatingColumn = None,
    time_col: TimeColumn = None,
    decimal: Decimal = Config.decimal,
    config: ConfigFile = None,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure the errors of a model, beside those of simple baselines.

    The models of a k-fold split are measured each on its fold.
    """
    from mfcli.evaluation import FoldMetrics
    from mfcli.split_folder import folds_of

    columns = columns_of(user_col, item_col, rating_col, time_col)
    measure = partial(
        _measure,
        on=on,
        columns=columns,
        settings=settings_of(ctx),
        any_split=any_split,
        quiet=quiet,
    )
    folds = folds_of(split)
    if folds:
        over = FoldMetrics([measure(f, model.parent / f.name / model.name) for f in folds])
        over.write(out)
        output.show(over.as_dict(), json, lambda: _folds_table(over, out))
    else:
        metrics = measure(split, model)
        metrics.write(out)
        output.show(metrics.as_dict(), json, lambda: _metrics_table(metrics, out))


def _measure(
    split: Path,
    model: Path,
    on: str,
    columns: dict[str, str],
    settings: Config,
    any_split: bool,
    quiet: bool,
) -> Metrics:
    from mfcli.evaluation import evaluate
    from mfcli.model import check_same_split, read_model
    from mfcli.split_folder import read_split

    parts, trained = read_split(split), read_model(model)
    if not any_split:
        check_same_split(
            trained, parts.hash, model, split, "evaluate all the same with --any-split"
        )
    ratings = ratings_of(parts, on, columns, settings, quiet)
    return evaluate(
        trained, ratings, parts.train, clip=settings.clip, damping=settings.damping, on=on
    )


def _metrics_table(metrics: Metrics, out: Path) -> None:
    protocol = metrics.protocol
    clipped = "clipped" if protocol["clip"] else "not clipped"
    title = f"{out}: {protocol['ratings']:,} {protocol['on']} ratings, predictions {clipped}"
    table = output.table(title, "", "RMSE", "MSE", "MAE", "R2", "model's gain")
    biases = f"damped biases (damping {protocol['damping']:g})"
    rows = [("model", metrics.model), (biases, metrics.biases), ("training mean", metrics.mean)]
    gains = metrics.as_dict()["baselines"]
    shown = ["", f"{gains['biases']['gain']:.2%}", f"{gains['mean']['gain']:.2%}"]
    for (name, errors), gain in zip(rows, shown, strict=True):
        r2 = "-" if errors.r2 is None else f"{errors.r2:.4f}"
        numbers = (f"{value:.4f}" for value in (errors.rmse, errors.mse, errors.mae))
        table.add_row(name, *numbers, r2, gain)
    output.print_table(table)
    groups = output.table("The model by what train has seen", "", "ratings", "RMSE")
    for name, group in metrics.groups.items():
        rmse = "-" if group["rmse"] is None else f"{group['rmse']:.4f}"
        groups.add_row(name.replace("_", " "), f"{group['ratings']:,}", rmse)
    output.print_table(groups)


def _folds_table(over: FoldMetrics, out: Path) -> None:
    result = over.as_dict()
    title = f"{out}: {len(over.folds)} folds, each on its {over.folds[0].protocol['on']} ratings"
    table = output.table(title, "", "RMSE", "MAE", "RMSE of damped biases")
    rows = [(f"fold {n}", fold) for n, fold in enumerate(over.folds, start=1)]
    for name, fold in rows:
        numbers = (fold.model.rmse, fold.model.mae, fold.biases.rmse)
        table.add_row(name, *(f"{number:.4f}" for number in numbers))
    table.add_section()
    for name in ("mean", "standard_deviation"):
        row = result[name]
        numbers = (row["rmse"], row["mae"], row["biases_rmse"])
        table.add_row(name.replace("_", " "), *(f"{number:.4f}" for number in numbers))
    output.print_table(table)

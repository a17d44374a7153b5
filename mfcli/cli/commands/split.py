"""`mfcli split`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from mfcli.cli import output
from mfcli.cli.inputs import columns_of, place_for_rejected, read_files
from mfcli.cli.options import (
    AsJson,
    ConfigFile,
    Cut,
    Decimal,
    Duplicates,
    Folds,
    ItemColumn,
    MinItem,
    MinUser,
    OnBadRow,
    Quiet,
    RatingColumn,
    Seed,
    SplitFolder,
    StrategyName,
    Test,
    TimeColumn,
    UserColumn,
    Valid,
    refuse,
    settings_of,
)
from mfcli.cli.split_facts import split_facts
from mfcli.config import Config
from mfcli.errors import UsageError


def split(
    ctx: typer.Context,
    ratings: Annotated[
        list[str] | None,
        typer.Argument(
            help="CSV, TSV, u.data, ratings.dat or Parquet, packed or not; several, or a folder of"
            " part files, or - for the standard input."
        ),
    ] = None,
    split: SplitFolder = Path("split"),
    strategy: StrategyName = Config.strategy,
    test: Test = str(Config.test),
    valid: Valid = Config.valid,
    cut: Cut = Config.cut,
    folds: Folds = Config.folds,
    train: Annotated[
        str | None,
        typer.Option(help="With --test FILE, a published split: its training ratings."),
    ] = None,
    min_user: MinUser = Config.min_user,
    min_item: MinItem = Config.min_item,
    seed: Seed = Config.seed,
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
    """Split ratings into parts to train and to test on."""
    from mfcli.splits import split as split_ratings, split_given, write_split

    settings = settings_of(ctx)
    if train is None:
        _check_strategy(ctx, settings)
    columns = columns_of(user_col, item_col, rating_col, time_col)
    with place_for_rejected(settings) as rejected:
        read = partial(
            read_files, columns=columns, settings=settings, rejected=rejected, quiet=quiet
        )
        if train is not None:
            _check_given(ctx, ratings, test)
            made = split_given(read([train]), read([test]), settings)
            manifest = write_split(split, made, rejected)
        else:
            whole = split_ratings(read(_named(ratings, test)), settings)
            manifest = write_split(split, whole, rejected)
    output.show(manifest, json, lambda: _split_table(manifest, split))


def _named(ratings: list[str] | None, test: Any) -> list[str]:
    """Return the files to split."""
    if isinstance(test, str):
        raise UsageError(
            f"--test {test} is no share; with a file of test ratings, give --train too"
        )
    if not ratings:
        raise UsageError("name a file of ratings, such as: mfcli split data.csv")
    return ratings


def _check_given(ctx: typer.Context, ratings: list[str] | None, test: Any) -> None:
    if ratings or not isinstance(test, str):
        raise UsageError("--train goes with --test FILE and no other file of ratings")
    refuse(ctx, ("strategy", "cut", "folds", "min_user", "min_item"), "a published split")


def _check_strategy(ctx: typer.Context, settings: Config) -> None:
    """Refuse options that the strategy does not use."""
    unused = [] if settings.strategy == "k-fold" else ["folds"]
    if settings.strategy in ("k-fold", "leave-last-out") or settings.cut:
        unused.append("test")
    refuse(ctx, unused, f"--cut {settings.cut}" if settings.cut else settings.strategy)


def _split_table(manifest: dict[str, Any], folder: Path) -> None:
    title = f"{folder}: {manifest['source']['name']}, strategy {manifest['strategy']['name']}"
    output.print_table(output.facts(title, split_facts(manifest)))

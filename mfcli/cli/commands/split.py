"""`mfcli split`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mfcli import splits
from mfcli.cli.options import FILES, Given, SettingsGroup
from mfcli.cli.reading_options import Reading, ReadingOptions
from mfcli.cli.screen import Screen, ScreenOptions
from mfcli.cli.setting_options import Settings
from mfcli.cli.shared_options import refuse
from mfcli.cli.split_values import split_values
from mfcli.cli.tables import print_table, value_table
from mfcli.config import SPLIT
from mfcli.errors import UsageError

if TYPE_CHECKING:
    from mfcli.splits import Folds, Split

_NOT_WITH_TRAIN = ("strategy", "cut", "folds", "min_user", "min_item")
_TEST = {"help": "Fraction held out for testing; with --train, a file.", "or_file": True}


def split(
    settings: Annotated[
        Settings, SettingsGroup(SPLIT, changes={"test": _TEST}, may_be_unused=True)
    ],
    reading: ReadingOptions,
    given: Given,
    screen: ScreenOptions,
    ratings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE",
            help="CSV, TSV, u.data, ratings.dat, JSON lines or Parquet files, also compressed;"
            " folders of part files; or - for standard input.",
        ),
    ] = None,
    train: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Training ratings of a published split; requires --test FILE.",
            rich_help_panel="Split",
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "--split",
            metavar="DIR",
            help="Folder to write the split to.",
            rich_help_panel=FILES,
        ),
    ] = Path("split"),
) -> None:
    """Split ratings into training, test and validation parts."""
    _check_request(settings, given, ratings, train)
    with reading.rejected() as rejected:
        made = _make(settings, reading, ratings or [], train, rejected, screen)
        manifest = splits.write_split(out, made, rejected)
    screen.show(manifest, lambda: _print(manifest, out))


def _check_request(
    settings: Settings, given: Given, ratings: list[str] | None, train: str | None
) -> None:
    if train is None:
        settings.refuse_unused()
        if settings.file is not None:
            raise UsageError(
                f"--test {settings.file} is not a fraction; to name a file of test ratings, give"
                " --train too"
            )
        if not ratings:
            raise UsageError("name a file of ratings, such as: mfcli split data.csv")
        return
    if ratings or settings.file is None:
        raise UsageError("--train requires --test FILE and no other file of ratings")
    refuse(given, _NOT_WITH_TRAIN, "with --train", "omit it")


def _make(
    settings: Settings,
    reading: Reading,
    ratings: list[str],
    train: str | None,
    rejected: Path | None,
    screen: Screen,
) -> Split | Folds:
    if train is None:
        return splits.split(reading.read_listing(ratings, rejected, screen), settings.config)
    known = reading.read_listing([train], rejected, screen)
    held_out = reading.read_listing([str(settings.file)], rejected, screen)
    return splits.split_given(known, held_out, settings.config)


def _print(manifest: dict[str, Any], folder: Path) -> None:
    title = f"{folder}: {manifest['source']['name']}, strategy {manifest['strategy']['name']}"
    print_table(value_table(title, split_values(manifest)))

"""`mfcli split`."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mfcli import checks as checking, errors, splits, storage
from mfcli.cli.dry_run import DryRun, show_forecast
from mfcli.cli.options import FILES, Given, SettingsGroup
from mfcli.cli.outdated_results import note_older_models
from mfcli.cli.places import RUN
from mfcli.cli.reading_options import WeightedReadingOptions
from mfcli.cli.resource_options import within_limits
from mfcli.cli.screen import ScreenOptions
from mfcli.cli.setting_options import Settings
from mfcli.cli.shared_options import refuse
from mfcli.cli.spelling import spelled
from mfcli.cli.split_values import split_values
from mfcli.cli.tables import print_table, value_table
from mfcli.config import SPLIT
from mfcli.errors import UsageError

if TYPE_CHECKING:
    from mfcli.checks import DataWarning
    from mfcli.config import Config
    from mfcli.data import Buckets, Source
    from mfcli.splits import DividedFolds, Division
    from mfcli.types import Progress

_NOT_WITH_TRAIN = ("strategy", "cut", "folds", "min_user", "min_item")
_ALL = "all"  # the ratings that are not given as training and test ratings
_TEST = {"help": "Fraction held out for testing; with --train, a file.", "or_file": True}


@within_limits()
def split(
    settings: Annotated[
        Settings, SettingsGroup(SPLIT, changes={"test": _TEST}, may_be_unused=True)
    ],
    reading: WeightedReadingOptions,
    given: Given,
    screen: ScreenOptions,
    ratings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE",
            help="CSV, TSV, u.data, ratings.dat or JSON lines, also compressed; Parquet or Arrow;"
            " folders of part files; or - for standard input.",
        ),
    ] = None,
    no_test: Annotated[
        bool,
        typer.Option(
            "--no-test",
            help="Hold out no test ratings, as with --test 0.",
            rich_help_panel="Split",
        ),
    ] = False,
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
            help="Folder to write the split to, or its address (s3://bucket/split).",
            rich_help_panel=FILES,
        ),
        RUN,
    ] = Path("split"),
    dry_run: DryRun = False,
) -> None:
    """Split ratings into training, test and validation parts."""
    if no_test:
        settings = _without_test(settings, given)
    _check_request(settings, given, ratings, train)
    files = {_ALL: ratings or []}
    if train is not None:
        files = {"train": [train], "test": [str(settings.file)]}
    if dry_run:
        with storage.inspecting():
            surveys = {name: reading.survey(file) for name, file in files.items()}
            forecast = checking.forecast_split(surveys, settings.config, out)
        show_forecast(forecast, settings.source, screen)
        return
    with ExitStack() as stack:
        rejected = stack.enter_context(reading.rejected())
        read = {
            name: stack.enter_context(reading.read_buckets(file, rejected, screen))
            for name, file in files.items()
        }
        replaced = splits.split_hashes(out)
        # Facts are found in the meantime, by code that leaves this thread time to work.
        with screen.stages() as show, ThreadPoolExecutor(1) as pool:
            found = [pool.submit(checking.serious_warnings, each) for each in read.values()]
            made = _divided(read, settings.config, partial(show, "dividing"))
            manifest = splits.write_split(
                out,
                made,
                rejected,
                on_progress=lambda stage, *done: show(f"{stage} {out.name}", *done),
            )
            pairs = zip(read.values(), found, strict=True)
            warnings = [(buckets.source, w) for buckets, facts in pairs for w in facts.result()]
    note_older_models(replaced - splits.split_hashes(out), out, screen)
    # After the split is written: a warning does not stop the work, and the file may be right.
    _warn(warnings)
    manifest["warnings"] = [warning.as_dict(spelled) for _, warning in warnings]
    screen.show(manifest, lambda: _print(manifest, out))


def _without_test(settings: Settings, given: Given) -> Settings:
    refuse(given, ("test", "train"), "with --no-test", "omit one of them")
    return settings.changed(test=0.0)


def _check_request(
    settings: Settings, given: Given, ratings: list[str] | None, train: str | None
) -> None:
    if train is None:  # with --train, `test` is a file and the strategy has no effect
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


def _divided(
    read: Mapping[str, Buckets], config: Config, on_progress: Progress
) -> Division | DividedFolds:
    on_progress(0, 0)
    if _ALL in read:
        return splits.divide(read[_ALL], config, on_progress=on_progress)
    return splits.divide_given(read, config, on_progress=on_progress)


def _warn(warnings: list[tuple[Source | None, DataWarning]]) -> None:
    """Show serious warnings of `mfcli check`, each with the source of the ratings."""
    for source, warning in warnings:
        place = source.name if source else None
        errors.warn(f"{warning.what}: {warning.value}", place=place, remedy=warning.remedy)


def _print(manifest: dict[str, Any], folder: Path) -> None:
    title = f"{folder}: {manifest['source']['name']}, strategy {manifest['strategy']['name']}"
    print_table(value_table(title, split_values(manifest)))

"""`mfcli predict`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from mfcli import model as models, predict as prediction, storage
from mfcli.cli.cluster_options import on_cluster
from mfcli.cli.formatting import count
from mfcli.cli.options import Given, SettingsGroup
from mfcli.cli.reading_options import PAIR_READING, PairReadingOptions
from mfcli.cli.resource_options import within_limits
from mfcli.cli.row_output import PairsOut, check_out, print_rows
from mfcli.cli.screen import Screen, ScreenOptions
from mfcli.cli.setting_options import Settings
from mfcli.cli.shared_options import ModelFolder, Threads, refuse, refuse_clip
from mfcli.cli.streams import data_output, print_line
from mfcli.errors import UsageError

if TYPE_CHECKING:
    from mfcli.model import Model
    from mfcli.predict import PairCounts
    from mfcli.types import Progress

_PANEL = "Predictions"


def _check_cluster(given: frozenset[str]) -> None:
    """Refuse options with which nothing is computed on a cluster."""
    if not given.isdisjoint({"user", "item"}):
        refuse(given, ["cluster"], "with --user and --item", "omit it")
    refuse(given, ["threads"], "with --cluster", "omit it")


@within_limits()
@on_cluster(_check_cluster)
def predict(
    *,
    pairs: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE",
            help="File of user-item pairs, read as by mfcli split; it needs no ratings.",
        ),
    ] = None,
    user: Annotated[
        list[str] | None,
        typer.Option("--user", metavar="ID", help="User id; repeatable.", rich_help_panel=_PANEL),
    ] = None,
    item: Annotated[
        list[str] | None,
        typer.Option("--item", metavar="ID", help="Item id; repeatable.", rich_help_panel=_PANEL),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Fail if the model does not know a user or an item.",
            rich_help_panel=_PANEL,
        ),
    ] = False,
    interval: Annotated[
        float | None,
        typer.Option(
            metavar="FLOAT",
            help="Add the columns low and high, between which the rating is with this probability,"
            " such as 0.9 (a model with samples).",
            show_default="no columns",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    probability: Annotated[
        float | None,
        typer.Option(
            metavar="RATING",
            help="Add the column probability: that of this rating or a higher one (a model with"
            " samples).",
            show_default="no column",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    settings: Annotated[Settings, SettingsGroup("clip", panel=_PANEL)],
    given: Given,
    screen: ScreenOptions,
    reading: PairReadingOptions,
    threads: Threads = None,
    model: ModelFolder = Path("model"),
    out: PairsOut = None,
) -> None:
    """Predict the ratings of user-item pairs.

    The pairs are the rows of a file, or all combinations of --user and --item.
    """
    _check_request(given, pairs, out, screen)
    uncertainty = prediction.Uncertainty(interval, probability)
    trained = models.Model.load(model)
    refuse_clip(given, trained)
    clip = settings.config.clip
    predictor = prediction.Predictor(trained, clip=clip, uncertainty=uncertainty)
    if pairs is None:
        table, counts = prediction.predict_named(predictor, user or [], item or [], strict=strict)
        _note(trained, counts, screen)
        print_rows([table], "predictions", out, screen, vars(counts))
        return
    with (
        _target(out, strict) as target,
        _bar(screen, pairs, target) as on_progress,
    ):
        counts = prediction.predict_file(
            predictor,
            pairs,
            target,
            columns=reading.columns,
            encoding=reading.config.encoding,
            strict=strict,
            threads=storage.threads_of(threads),
            on_progress=on_progress,
        )
    _note(trained, counts, screen)
    if isinstance(target, Path):  # otherwise the pairs are on stdout, and nothing else may be
        line = f"{target}: {count(counts.pairs, 'pair')}"
        screen.show({"out": str(target), **vars(counts)}, lambda: print_line(line))


def _check_request(given: Given, pairs: str | None, out: Path | None, screen: Screen) -> None:
    if pairs is None and not given >= {"user", "item"}:
        raise UsageError("name a file of pairs, or users with --user and items with --item")
    if pairs is not None:
        refuse(given, ("user", "item"), f"with the file {pairs}", "omit one of them")
        if screen.json and out is None:
            raise UsageError("--json requires --out FILE, because the pairs are printed to stdout")
    else:  # nothing is read, and a few pairs take no time
        refuse(given, (*PAIR_READING.names, "threads"), "with --user and --item", "omit it")
    if screen.json and str(out) == "-":
        raise UsageError("--json cannot be used with --out -, which prints CSV; omit one of them")
    check_out(out)


@contextmanager
def _target(out: Path | None, strict: bool) -> Iterator[Path | BinaryIO]:
    """Yield the file to write to, or standard output.

    If unknown ids are errors, nothing reaches standard output before all pairs are predicted.
    """
    if out is not None and str(out) != "-":
        yield out
        return
    output = data_output()
    if strict:
        # On the disk, because there may be more predictions than fit in memory.
        with storage.scratch_file() as (held, _):
            with storage.scratch_errors():
                yield held
                held.seek(0)
            shutil.copyfileobj(held, output)
    else:
        yield output
    output.flush()  # here, so that a full disk or a closed pipe is an error of this command


def _bar(screen: Screen, pairs: str, target: Path | BinaryIO) -> AbstractContextManager[Progress]:
    if target is sys.stdout.buffer and sys.stdout.isatty():
        # A bar on the same terminal would erase rows.
        screen = replace(screen, quiet=True)
    return screen.byte_bar(f"predicting {Path(pairs).name}")


def _note(model: Model, counts: PairCounts, screen: Screen) -> None:
    if model.predicts == "scores":
        screen.note("the model predicts scores, which rank items and are not ratings")
    if text := counts.text(model):
        screen.note(text)

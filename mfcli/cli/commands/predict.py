"""`mfcli predict`."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from mfcli.cli import output
from mfcli.cli.options import (
    AsJson,
    Clip,
    ConfigFile,
    ItemColumn,
    ModelFolder,
    Quiet,
    Threads,
    UserColumn,
    refuse,
    settings_of,
)
from mfcli.cli.rankings import Out, check_out, give
from mfcli.config import Config
from mfcli.errors import UsageError

if TYPE_CHECKING:
    from mfcli.predict import PairCounts


def predict(
    ctx: typer.Context,
    pairs: Annotated[
        str | None,
        typer.Argument(help="File of pairs, read as for split; ratings are not needed."),
    ] = None,
    user: Annotated[
        list[str] | None, typer.Option("--user", help="Id of a user; several times for several.")
    ] = None,
    item: Annotated[
        list[str] | None, typer.Option("--item", help="Id of an item; several times for several.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse users and items that the model does not know.")
    ] = False,
    clip: Clip = Config.clip,
    model: ModelFolder = Path("model"),
    out: Out = None,
    user_col: UserColumn = None,
    item_col: ItemColumn = None,
    threads: Threads = None,
    config: ConfigFile = None,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Predict the ratings of pairs of a user and an item."""
    from mfcli.model import Model
    from mfcli.predict import Predictor, predict_file, predict_named
    from mfcli.storage import cores

    _check_request(ctx, pairs, user, item, out, json)
    predictor = Predictor(Model.load(model), clip=settings_of(ctx).clip)
    if pairs is None:
        table, counts = predict_named(predictor, user or [], item or [], strict=strict)
        _note_unknown(counts, quiet)
        give(table, "predictions", out, json, vars(counts))
        return
    columns = {role: name for role, name in (("user", user_col), ("item", item_col)) if name}
    with output.byte_bar(f"predicting {pairs}", quiet) as on_progress, _target(out, strict) as to:
        counts = predict_file(
            predictor,
            pairs,
            to,
            columns=columns,
            strict=strict,
            threads=threads or cores(),
            on_progress=on_progress,
        )
    _note_unknown(counts, quiet)
    if isinstance(to, Path):
        line = f"{to}: {output.count(range(counts.pairs), 'pair')}"
        output.show({"out": str(to), **vars(counts)}, json, lambda: print(line))


def _check_request(
    ctx: typer.Context,
    pairs: str | None,
    user: list[str] | None,
    item: list[str] | None,
    out: Path | None,
    json: bool,
) -> None:
    if pairs is None and not (user and item):
        raise UsageError("name a file of pairs, or users with --user and items with --item")
    if pairs is not None:
        refuse(ctx, ("user", "item"), f"the file {pairs}")
        if json and out is None:
            raise UsageError("--json goes with --out FILE; without it the pairs are on stdout")
    else:
        refuse(ctx, ("user_col", "item_col", "threads"), "--user and --item")
    if json and str(out) == "-":
        raise UsageError("--json does not go with --out -, which is CSV; leave one out")
    check_out(out)


@contextmanager
def _target(out: Path | None, strict: bool) -> Iterator[Path | BinaryIO]:
    """Give the file, or the standard output; if nothing may be written in vain, only in the end."""
    if out is not None and str(out) != "-":
        yield out
        return
    if strict:
        with tempfile.TemporaryFile() as held:
            yield held
            held.seek(0)
            shutil.copyfileobj(held, sys.stdout.buffer)
    else:
        yield sys.stdout.buffer
    sys.stdout.flush()


def _note_unknown(counts: PairCounts, quiet: bool) -> None:
    if str(counts):
        output.note(str(counts), quiet)

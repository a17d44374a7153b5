"""`mfcli predict`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from mfcli import output
from mfcli.commands.options import (
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
from mfcli.commands.rankings import Out, check_out, give
from mfcli.config import Config
from mfcli.errors import UsageError

if TYPE_CHECKING:
    from mfcli.layout import Layout
    from mfcli.model import Model
    from mfcli.predicting import Counts


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
    from mfcli.model import read_model

    _check_request(ctx, pairs, user, item, out, json)
    trained, clipped = read_model(model), settings_of(ctx).clip
    if pairs is None:
        _predict_named(trained, user or [], item or [], clipped, strict, out, json, quiet)
        return
    columns = {role: name for role, name in (("user", user_col), ("item", item_col)) if name}
    counts = _predict_file(trained, pairs, columns, clipped, strict, out, threads, quiet)
    _note_unknown(counts, quiet)
    if out is not None and str(out) != "-":
        line = f"{out}: {output.count(range(counts.pairs), 'pair')}"
        output.show({"out": str(out), **vars(counts)}, json, lambda: print(line))


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
        if json and (out is None or str(out) == "-"):
            raise UsageError("--json goes with --out FILE; without it the pairs are on stdout")
    else:
        refuse(ctx, ("user_col", "item_col", "threads"), "--user and --item")
    check_out(out)


def _predict_named(
    model: Model,
    user: list[str],
    item: list[str],
    clip: bool,
    strict: bool,
    out: Path | None,
    json: bool,
    quiet: bool,
) -> None:
    """Predict every pair of the users and items named."""
    import numpy as np
    import pyarrow as pa

    from mfcli.lookup import find_rows
    from mfcli.predicting import PREDICTION, Counts

    if strict:
        find_rows(model.users, pa.array(user), "user")
        find_rows(model.items, pa.array(item), "item")
    users = [one for one in user for _ in item]
    items = item * len(user)
    predicted = model.predict(users, items, clip=clip)
    unknown = [
        int(np.count_nonzero(vocabulary.rows(pa.array(ids)) < 0))
        for vocabulary, ids in ((model.users, users), (model.items, items))
    ]
    counts = Counts(len(users), *unknown)
    _note_unknown(counts, quiet)
    table = pa.table({"user": users, "item": items, PREDICTION: pa.array(predicted)})
    give(table, "predictions", out, json, vars(counts))


def _predict_file(
    model: Model,
    pairs: str,
    columns: dict[str, str],
    clip: bool,
    strict: bool,
    out: Path | None,
    threads: int | None,
    quiet: bool,
) -> Counts:
    from mfcli.files import replacing_file
    from mfcli.parallel import cores
    from mfcli.predicting import Predictor, predict_pairs

    with output.byte_bar(f"predicting {pairs}", quiet) as on_progress:
        run = partial(
            predict_pairs,
            Predictor(model, clip=clip),
            pairs,
            columns=columns,
            strict=strict,
            threads=threads or cores(),
            on_progress=on_progress,
        )
        if out is None or str(out) == "-":
            with _standard_output() as stream:
                return run(partial(_text_sink, stream), as_table=False)
        with replacing_file(out) as temporary:
            if out.suffix.lower() == ".csv":
                with temporary.open("wb") as file:
                    return run(partial(_text_sink, file), as_table=False)
            return _into_parquet(run, temporary)


def _text_sink(file: BinaryIO, layout: Layout) -> BinaryIO:
    from mfcli.predicting import header_of

    file.write(header_of(layout))
    return file


def _into_parquet(run: Any, path: Path) -> Counts:
    from mfcli.predicting import ParquetSink

    sinks: list[ParquetSink] = []

    def open_sink(layout: Layout) -> ParquetSink:
        sinks.append(ParquetSink(path, layout))
        return sinks[0]

    try:
        counts: Counts = run(open_sink, as_table=True)
    finally:
        for sink in sinks:
            sink.close()
    return counts


@contextmanager
def _standard_output() -> Iterator[BinaryIO]:
    yield sys.stdout.buffer
    sys.stdout.flush()


def _note_unknown(counts: Counts, quiet: bool) -> None:
    if counts.unknown_users or counts.unknown_items:
        output.note(
            f"of {output.count(range(counts.pairs), 'pair')}, {counts.unknown_users:,} have an"
            f" unknown user and {counts.unknown_items:,} an unknown item, which add nothing to the"
            " mean",
            quiet,
        )

"""`mfcli fold-in`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfcli.cli import output
from mfcli.cli.inputs import columns_of, place_for_rejected, read_files
from mfcli.cli.options import (
    AsJson,
    ConfigFile,
    Decimal,
    Duplicates,
    ItemColumn,
    ModelFolder,
    OnBadRow,
    Quiet,
    RatingColumn,
    Threads,
    TimeColumn,
    UserColumn,
    refuse,
    settings_of,
)
from mfcli.cli.rankings import (
    Items,
    MinCount,
    N,
    Out,
    Titles,
    allowed_items,
    check_out,
    give,
    titled,
)
from mfcli.config import Config
from mfcli.errors import ArtifactError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from mfcli.data import Ratings
    from mfcli.model import FoldedUsers, Model

_SHOWN = 100  # users whose recommendations are shown in a table
_RANKING = ("n", "include_rated", "items", "min_count", "titles", "threads", "out")


def fold_in(
    ctx: typer.Context,
    ratings: Annotated[
        list[str], typer.Argument(help="Files of ratings of the new users, as for split.")
    ],
    n: N = 10,
    include_rated: Annotated[
        bool, typer.Option("--include-rated", help="Also what a user has rated in the file.")
    ] = False,
    items: Items = None,
    min_count: MinCount = 0,
    titles: Titles = None,
    model: ModelFolder = Path("model"),
    threads: Threads = None,
    out: Out = None,
    extend: Annotated[
        Path | None,
        typer.Option(
            "--extend", help="Folder to write the model with the new users to; no recommendations."
        ),
    ] = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="Estimate users of the model anew, from these ratings alone."
        ),
    ] = False,
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
    """Estimate new users from their ratings, without training, and recommend to them."""
    from mfcli.model import Model, fold_in as fold

    _check_targets(ctx, extend, out)
    trained = Model.load(model)
    settings = settings_of(ctx)
    columns = columns_of(user_col, item_col, rating_col, time_col)
    with place_for_rejected(settings) as rejected:
        read = read_files(ratings, columns, settings, quiet, rejected)
    folded = fold(trained, read, _noise(trained, model), replace=replace)
    if extend is None and out is None and not json and len(folded.model.users) > _SHOWN:
        raise UsageError(
            f"{len(folded.model.users):,} users are too many to show; write what is recommended to"
            " them with --out FILE, or --out - for CSV on stdout"
        )
    _notes(read, folded, quiet)
    if extend is not None:
        _write_extended(trained, folded, extend, json, quiet)
        return
    table = _recommended(folded, n, include_rated, items, min_count, threads)
    facts = {"folded_in": folded.as_dict()}
    give(titled(table, trained, titles), "recommendations", out, json, facts)


def _noise(model: Model, folder: Path) -> float:
    """Return the mean squared error on the validation ratings."""
    if "val_mse" not in model.losses:
        raise ArtifactError(f"{folder}: does not say its validation error; train again")
    return model.losses["val_mse"]


def _check_targets(ctx: typer.Context, extend: Path | None, out: Path | None) -> None:
    from mfcli.model import NAMES
    from mfcli.storage import check_replaceable

    check_out(out)
    if extend is not None:
        refuse(ctx, _RANKING, "--extend")
        check_replaceable(extend, NAMES)


def _notes(read: Ratings, folded: FoldedUsers, quiet: bool) -> None:
    """Tell what could not be used."""
    for kind, rows in (read.source.rejected if read.source else {}).items():
        output.note(f"left out {output.count(range(rows), 'row')} for its {kind}", quiet)
    if folded.unknown_ratings:
        ratings = output.count(range(folded.unknown_ratings), "rating")
        items = output.count(range(folded.unknown_items), "item")
        output.note(f"left out {ratings} of {items} without training ratings", quiet)
    if folded.empty_users:
        users = output.count(range(folded.empty_users), "user")
        output.note(f"left {users} without a rating, whose predictions are mu + b_i", quiet)
    given, known = folded.rated.scale(), folded.model.scale
    if given.min < known.min or given.max > known.max:
        output.note(
            f"ratings go from {given.min:g} to {given.max:g}; the model was trained on"
            f" {known.min:g} to {known.max:g}",
            quiet,
        )


def _write_extended(
    trained: Model,
    folded: FoldedUsers,
    folder: Path,
    json: bool,
    quiet: bool,
) -> None:
    from mfcli.model import extended

    made = extended(trained, folded)
    made.save(folder)
    if made.users.ids.type != trained.users.ids.type:
        output.note(f"{folder}: the ids of its users are text now, as the new ones are", quiet)
    facts = folded.as_dict()
    ratings = output.count(range(facts["ratings"]), "rating")
    line = f"{folder}: {len(made.users):,} users, {facts['users']:,} of them from {ratings}"
    result = {"folded_in": facts, "model": str(folder), "users": len(made.users)}
    output.show(result, json, lambda: print(line))


def _recommended(
    folded: FoldedUsers,
    n: int,
    include_rated: bool,
    items: Path | None,
    min_count: int,
    threads: int | None,
) -> pa.Table:
    import numpy as np

    from mfcli.model import Rated, top_items
    from mfcli.storage import cores

    ranking = top_items(
        folded.model,
        np.arange(len(folded.model.users), dtype=np.int32),
        n,
        exclude=None if include_rated else Rated.of(folded.rated),
        candidates=allowed_items(folded.model, items, min_count),
        threads=threads or cores(),
    )
    return ranking.table(folded.model.users, folded.model.items, "user", "prediction")

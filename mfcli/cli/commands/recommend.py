"""`mfcli recommend`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfcli.cli.inputs import columns_of, place_for_rejected, read_files
from mfcli.cli.options import (
    AsJson,
    ConfigFile,
    Decimal,
    ItemColumn,
    ModelFolder,
    OnBadRow,
    Quiet,
    RatingColumn,
    SplitFolder,
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
    rated_in_training,
    titled,
)
from mfcli.config import Config
from mfcli.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mfcli.data import Ratings
    from mfcli.model import Model

_READING = ("user_col", "item_col", "rating_col", "time_col", "decimal", "on_bad_row")


def recommend(
    ctx: typer.Context,
    user: Annotated[
        list[str] | None, typer.Option("--user", help="Id of a user; several times for several.")
    ] = None,
    users: Annotated[Path | None, typer.Option("--users", help="File of user ids, one a line.")] = (
        None
    ),
    everyone: Annotated[bool, typer.Option("--all", help="For all users; needs --out.")] = False,
    n: N = 10,
    include_rated: Annotated[
        bool, typer.Option("--include-rated", help="Also what a user has rated in training.")
    ] = False,
    rated: Annotated[
        list[str] | None,
        typer.Option(
            "--rated",
            help="File of ratings, as for split, to leave out too; several times for several.",
        ),
    ] = None,
    items: Items = None,
    min_count: MinCount = 0,
    titles: Titles = None,
    model: ModelFolder = Path("model"),
    split: SplitFolder = Path("split"),
    threads: Threads = None,
    out: Out = None,
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
    """Recommend the items with the highest predicted ratings."""
    from mfcli.model import Model, Rated, top_items
    from mfcli.storage import cores

    _check_request(user, users, everyone, out)
    if not rated:
        refuse(ctx, _READING, "recommend without --rated")
    trained = Model.load(model)
    known = [] if include_rated else [rated_in_training(trained, model, split)]
    if rated:
        columns = columns_of(user_col, item_col, rating_col, time_col)
        known.append(_rated_in(rated, trained, columns, settings_of(ctx), quiet))
    ranking = top_items(
        trained,
        _wanted_users(trained, user, users, everyone),
        n,
        exclude=Rated.of(*known) if known else None,
        candidates=allowed_items(trained, items, min_count),
        threads=threads or cores(),
    )
    table = ranking.table(trained.users, trained.items, "user", "prediction")
    give(titled(table, trained, titles), "recommendations", out, json)


def _check_request(
    user: list[str] | None, users: Path | None, everyone: bool, out: Path | None
) -> None:
    if not (user or users or everyone):
        raise UsageError("name users with --user, --users FILE or --all")
    if everyone and out is None:
        raise UsageError("--all goes with --out FILE, or --out - for CSV on stdout")
    check_out(out)


def _rated_in(
    names: list[str], model: Model, columns: dict[str, str], settings: Config, quiet: bool
) -> Ratings:
    """Read what files of ratings name, in the rows of the model."""
    with place_for_rejected(settings) as rejected:
        read = read_files(names, columns, settings, quiet, rejected)
    return read.within(model.users, model.items)


def _wanted_users(
    model: Model, user: list[str] | None, users: Path | None, everyone: bool
) -> NDArray[np.int32]:
    import numpy as np
    import pyarrow as pa

    from mfcli.data import find_rows, read_ids

    if everyone:
        return np.arange(len(model.users), dtype=np.int32)
    parts = [pa.array(user or [], pa.string()), *([read_ids(users)] if users else [])]
    return find_rows(model.users, pa.concat_arrays(parts), "user")

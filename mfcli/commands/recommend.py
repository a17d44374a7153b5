"""`mfcli recommend`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfcli.commands.options import AsJson, ModelFolder, SplitFolder, Threads
from mfcli.commands.rankings import (
    MinCount,
    N,
    Titles,
    allowed_items,
    give,
    rated_in_training,
    titled,
)
from mfcli.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mfcli.model import Model


def recommend(
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
    items: Annotated[
        Path | None, typer.Option("--items", help="File of the only item ids allowed, one a line.")
    ] = None,
    min_count: MinCount = 0,
    titles: Titles = None,
    model: ModelFolder = Path("model"),
    split: SplitFolder = Path("split"),
    threads: Threads = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="CSV or Parquet to write; - for CSV on stdout.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Recommend the items with the highest predicted ratings."""
    from mfcli.model import read_model
    from mfcli.parallel import cores
    from mfcli.recommending import top_items

    _check_request(user, users, everyone, out)
    trained = read_model(model)
    ranking = top_items(
        trained,
        _wanted_users(trained, user, users, everyone),
        n,
        exclude=None if include_rated else rated_in_training(trained, model, split),
        candidates=allowed_items(trained, items, min_count),
        threads=threads or cores(),
    )
    table = ranking.table(trained.users, trained.items, "user", "prediction")
    give(titled(table, trained, titles), "recommendations", out, json)


def _check_request(
    user: list[str] | None, users: Path | None, everyone: bool, out: Path | None
) -> None:
    from mfcli.lists import check_table_suffix

    if not (user or users or everyone):
        raise UsageError("name users with --user, --users FILE or --all")
    if everyone and out is None:
        raise UsageError("--all goes with --out FILE, or --out - for CSV on stdout")
    if out is not None and str(out) != "-":
        check_table_suffix(out)


def _wanted_users(
    model: Model, user: list[str] | None, users: Path | None, everyone: bool
) -> NDArray[np.int32]:
    import numpy as np
    import pyarrow as pa

    from mfcli.lists import read_ids
    from mfcli.lookup import find_rows

    if everyone:
        return np.arange(len(model.users), dtype=np.int32)
    parts = [pa.array(user or [], pa.string()), *([read_ids(users)] if users else [])]
    return find_rows(model.users, pa.concat_arrays(parts), "user")

"""`mfcli similar`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mfcli.cli.options import AsJson, ModelFolder
from mfcli.cli.rankings import MinCount, N, Titles, give, titled


def similar(
    name: Annotated[str, typer.Argument(metavar="ID", help="Id of an item, or of a user.")],
    users: Annotated[bool, typer.Option("--users", help="Of users, not of items.")] = False,
    n: N = 10,
    min_count: MinCount = 0,
    titles: Titles = None,
    model: ModelFolder = Path("model"),
    json: AsJson = False,
) -> None:
    """Show the items whose factors have the highest cosine to those of an item."""
    import pyarrow as pa

    from mfcli.data import find_rows
    from mfcli.model import Model, similar as nearest

    trained = Model.load(model)
    vocabulary = trained.users if users else trained.items
    factors = trained.user_factors if users else trained.item_factors
    row = find_rows(vocabulary, pa.array([name]), "user" if users else "item")
    allowed = vocabulary.counts >= min_count
    table = nearest(factors, row, n, allowed).table(vocabulary, vocabulary, "of", "cosine")
    table = table.drop_columns(["of"])
    if users:
        table = table.rename_columns(["rank", "user", "cosine"])
    give(table if users else titled(table, trained, titles), "similar", None, json)

"""What commands about users and items share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mfcli.cli import output

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from mfcli.data import Ratings
    from mfcli.model import Model


N = Annotated[int, typer.Option("--n", min=1, help="How many (at least 1).")]


MinCount = Annotated[
    int, typer.Option("--min-count", min=0, help="Leave out what has fewer training ratings.")
]


Titles = Annotated[
    Path | None, typer.Option("--titles", help="CSV with an item id and a title column.")
]


Items = Annotated[
    Path | None, typer.Option("--items", help="File of the only item ids allowed, one a line.")
]


Out = Annotated[
    Path | None, typer.Option("--out", help="CSV or Parquet to write; - for CSV on stdout.")
]


def check_out(out: Path | None) -> None:
    """Refuse an --out of an unknown kind before any work."""
    from mfcli.data import check_table_suffix

    if out is not None and str(out) != "-":
        check_table_suffix(out)


def rated_in_training(model: Model, folder: Path, split: Path) -> Ratings:
    """Read what the model's users have rated in training, in the rows of the model."""
    from mfcli.model import check_same_split
    from mfcli.splits import read_split

    parts = read_split(split)
    check_same_split(
        model, parts.hash, folder, split, "recommend all the same with --include-rated"
    )
    return parts.train.within(model.users, model.items)


def allowed_items(model: Model, items: Path | None, min_count: int) -> NDArray[np.int32] | None:
    import numpy as np

    from mfcli.data import find_rows, read_ids

    if items is None and not min_count:
        return None
    allowed = model.items.counts >= min_count
    if items is not None:
        listed = np.zeros(len(model.items), np.bool_)
        listed[find_rows(model.items, read_ids(items), "item")] = True
        allowed &= listed
    return np.flatnonzero(allowed).astype(np.int32)


def titled(table: pa.Table, model: Model, titles: Path | None) -> pa.Table:
    """Add the titles of the items, empty where there is none."""
    if titles is None:
        return table
    import pyarrow.compute as pc

    from mfcli.data import read_titles

    known = read_titles(titles)
    ids = table["item"].combine_chunks().cast(known["id"].type)
    place = pc.index_in(ids, value_set=known["id"].combine_chunks())
    return table.append_column(
        "title", pc.fill_null(known["title"].combine_chunks().take(place), "")
    )


def give(
    table: pa.Table,
    name: str,
    out: Path | None,
    json: bool,
    facts: dict[str, Any] | None = None,
) -> None:
    """Write a table to a file or to stdout, or show it; as JSON with some facts before it."""
    from mfcli.data import csv_bytes, guarded, write_table

    if out is not None and str(out) == "-":
        print(csv_bytes(guarded(table)).decode(), end="")
        return
    if out is not None:
        write_table(out, table)
    if json:
        result = {"out": str(out), "rows": len(table)} if out else {name: table.to_pylist()}
        output.show((facts or {}) | result, json, lambda: None)
    elif out is not None:
        print(f"{out}: {output.count(range(len(table)), 'row')}")
    else:
        _rows_table(table)


def _rows_table(rows: pa.Table) -> None:
    """Show a table as it is, numbers to four digits."""
    table = output.table("", *rows.column_names)
    for row in rows.to_pylist():
        cells = (f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in row.values())
        table.add_row(*map(output.cell, cells))
    output.print_table(table)

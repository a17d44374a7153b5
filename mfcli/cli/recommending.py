"""Options for lists of items, and how the lists are made and printed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mfcli import data, model as models, predict as prediction, storage
from mfcli.cli.formatting import count
from mfcli.cli.options import FILES, FieldsGroup
from mfcli.cli.screen import Screen
from mfcli.cli.tables import cell, print_table, table as make_table

if TYPE_CHECKING:
    import pyarrow as pa

    from mfcli.model import Model, Rated
    from mfcli.types import Rows

_PANEL = "Recommendations"

Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FILE",
        help="CSV or Parquet file to write; - for CSV on stdout.",
        show_default="a table",
        rich_help_panel=FILES,
    ),
]


@dataclass(frozen=True)
class Listing:
    """Which items to list, and where to."""

    n: Annotated[
        int, typer.Option("--n", min=1, help="Length of each list.", rich_help_panel=_PANEL)
    ] = 10
    include_rated: Annotated[
        bool,
        typer.Option(
            "--include-rated",
            help="Also recommend items that the user has rated.",
            rich_help_panel=_PANEL,
        ),
    ] = False
    items: Annotated[
        Path | None,
        typer.Option(
            "--items",
            metavar="FILE",
            help="Recommend only these items (a file with one id per line).",
            rich_help_panel=_PANEL,
        ),
    ] = None
    min_count: Annotated[
        int,
        typer.Option(
            "--min-count",
            min=0,
            help="Omit items with fewer training ratings.",
            rich_help_panel=_PANEL,
        ),
    ] = 0
    titles: Annotated[
        Path | None,
        typer.Option(
            "--titles",
            metavar="FILE",
            help="Add titles from a CSV file with an item id and a title column.",
            rich_help_panel=FILES,
        ),
    ] = None
    out: Out = None

    def recommend(
        self, model: Model, users: Rows, exclude: Rated | None, threads: int | None
    ) -> pa.Table:
        """Return the items with the highest predicted ratings for some users."""
        ranking = models.top_items(
            model,
            users,
            self.n,
            exclude=exclude,
            candidates=prediction.candidates(model.items, self.items, self.min_count),
            threads=threads or storage.cores(),
        )
        return ranking.table(model.users, model.items, "user", "prediction")

    def with_titles(self, table: pa.Table) -> pa.Table:
        """Add the titles of the items; empty where there is none."""
        return prediction.with_titles(table, self.titles) if self.titles else table

    def print(
        self, table: pa.Table, name: str, screen: Screen, facts: dict[str, Any] | None = None
    ) -> None:
        print_rows(self.with_titles(table), name, self.out, screen, facts)


LISTING = FieldsGroup(Listing)
ListingOptions = Annotated[Listing, LISTING]


def check_out(out: Path | None) -> None:
    """Refuse a file of an unknown type before any work."""
    if out is not None and str(out) != "-":
        data.check_table_suffix(out)


def print_rows(
    table: pa.Table,
    name: str,
    out: Path | None,
    screen: Screen,
    facts: dict[str, Any] | None = None,
) -> None:
    """Write a table to a file or to stdout, or print it.

    Parameters
    ----------
    table : Table
    name : str
        Its key in JSON.
    out : Path, optional
    screen : Screen
    facts : dict, optional
        Other values for JSON.
    """
    if out is not None and str(out) == "-":
        print(data.csv_bytes(data.guarded(table)).decode(), end="")
        return
    if out is not None:
        data.write_table(out, table)
    if screen.json:
        result = {"out": str(out), "rows": len(table)} if out else {name: table.to_pylist()}
        screen.show((facts or {}) | result, lambda: None)
    elif out is not None:
        print(f"{out}: {count(len(table), 'row')}")
    else:
        _print_table(table)


def _print_table(rows: pa.Table) -> None:
    table = make_table("", *rows.column_names)
    for row in rows.to_pylist():
        cells = (f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in row.values())
        table.add_row(*map(cell, cells))
    print_table(table)

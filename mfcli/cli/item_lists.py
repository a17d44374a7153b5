"""Options for lists of items, and how the lists are made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mfcli import model as models, predict as prediction, storage
from mfcli.cli.options import FILES, FieldsGroup
from mfcli.cli.row_output import Out, print_rows
from mfcli.cli.screen import Screen

if TYPE_CHECKING:
    import pyarrow as pa

    from mfcli.model import Model, Rated
    from mfcli.types import Rows

_PANEL = "Recommendations"


@dataclass(frozen=True)
class Listing:
    """Which items to list, and where to write them."""

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
            help="Recommend only these items (one id per line, or a table with an item column).",
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
            help="Add titles from a file with an item and a title column.",
            rich_help_panel=FILES,
        ),
    ] = None
    out: Out = None

    def recommend(
        self,
        model: Model,
        users: Rows,
        exclude: Rated | None,
        threads: int | None,
        encoding: str,
    ) -> pa.Table:
        """Return the items with the highest predicted ratings for some users."""
        ranking = models.top_items(
            model,
            users,
            self.n,
            exclude=exclude,
            candidates=prediction.candidates(model.items, self.items, self.min_count, encoding),
            threads=threads or storage.cores(),
        )
        return ranking.table(model.users, model.items, "user", "prediction")

    def print(
        self,
        table: pa.Table,
        name: str,
        screen: Screen,
        encoding: str,
        facts: dict[str, Any] | None = None,
    ) -> None:
        """Print or write a table of items, with their titles."""
        titled = prediction.with_titles(table, self.titles, encoding) if self.titles else table
        print_rows(titled, name, self.out, screen, facts)


LISTING = FieldsGroup(Listing)
ListingOptions = Annotated[Listing, LISTING]

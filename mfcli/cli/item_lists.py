"""Options for lists of items, and how the lists are made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mfcli import model as models, predict as prediction, storage
from mfcli.cli.options import FILES, FieldsGroup, SettingsGroup
from mfcli.cli.row_output import Out, print_rows
from mfcli.cli.screen import Screen

if TYPE_CHECKING:
    import pyarrow as pa

    from mfcli.config import Config
    from mfcli.model import Model, Rated
    from mfcli.types import Rows

RECOMMENDATIONS = "Recommendations"
"""Panel of what is recommended."""


@dataclass(frozen=True)
class Listing:
    """Which items to list, and where to write them."""

    n: Annotated[
        int,
        typer.Option("--n", min=1, help="Length of each list.", rich_help_panel=RECOMMENDATIONS),
    ] = 10
    items: Annotated[
        Path | None,
        typer.Option(
            "--items",
            metavar="FILE",
            help="Recommend only these items (one id per line, or a table with an item column).",
            rich_help_panel=RECOMMENDATIONS,
        ),
    ] = None
    min_count: Annotated[
        int,
        typer.Option(
            "--min-count",
            min=0,
            help="Omit items with fewer training ratings.",
            rich_help_panel=RECOMMENDATIONS,
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
        config: Config,
        threads: int | None,
    ) -> pa.Table:
        """Return the items with the highest predicted ratings for some users.

        Of the config, `clip` and `encoding` are used.
        """
        ranking = models.top_items(
            model,
            users,
            self.n,
            exclude=exclude,
            candidates=prediction.candidates(
                model.items, self.items, self.min_count, config.encoding
            ),
            threads=threads or storage.cores(),
        )
        models.warn_empty(ranking)
        scale = model.scale if config.clip else None
        return ranking.table(model.users, model.items, "user", "prediction", scale)

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


CLIP = SettingsGroup("clip", panel=RECOMMENDATIONS)
LISTING = FieldsGroup(Listing)
ListingOptions = Annotated[Listing, LISTING]

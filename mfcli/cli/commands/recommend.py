"""`mfcli recommend`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfcli import model as models, predict as prediction, splits
from mfcli.cli.item_lists import ListingOptions
from mfcli.cli.options import Given
from mfcli.cli.reading_options import Reading, ReadingGroup
from mfcli.cli.row_output import check_out
from mfcli.cli.screen import ScreenOptions
from mfcli.cli.shared_options import ModelFolder, SplitFolder, Threads, refuse
from mfcli.errors import Param, UsageError

if TYPE_CHECKING:
    from mfcli.data import Ratings
    from mfcli.model import Model

_PANEL = "Users"
_READING = ReadingGroup("duplicates")
_ONLY_RATED = [name for name in _READING.names if name != "encoding"]


def recommend(
    *,
    user: Annotated[
        list[str] | None,
        typer.Option("--user", metavar="ID", help="User id; repeatable.", rich_help_panel=_PANEL),
    ] = None,
    users: Annotated[
        Path | None,
        typer.Option(
            "--users",
            metavar="FILE",
            help="File with one user id per line, or a table with a user column.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    everyone: Annotated[
        bool,
        typer.Option("--all", help="All users; requires --out.", rich_help_panel=_PANEL),
    ] = False,
    given: Given,
    listing: ListingOptions,
    reading: Annotated[Reading, _READING],
    screen: ScreenOptions,
    rated: Annotated[
        list[str] | None,
        typer.Option(
            "--rated",
            metavar="FILE",
            help="Also omit items that are rated in this file; repeatable.",
            rich_help_panel="Recommendations",
        ),
    ] = None,
    threads: Threads = None,
    model: ModelFolder = Path("model"),
    split: SplitFolder = Path("split"),
) -> None:
    """Recommend the items with the highest predicted ratings.

    Items that a user has rated in training are omitted.
    """
    if not (user or users or everyone):
        raise UsageError("name users with --user, --users FILE or --all")
    # A table of all users would fill the terminal for minutes.
    if everyone and listing.out is None:
        raise UsageError("--all requires --out FILE, or --out - for CSV on stdout")
    check_out(listing.out)
    if not rated:
        refuse(given, _ONLY_RATED, "without --rated", "omit it")
    if not (rated or users or listing.items or listing.titles):
        refuse(given, ["encoding"], "without --rated, --users, --items or --titles", "omit it")
    encoding = reading.config.encoding
    trained = models.Model.load(model)
    known = [] if listing.include_rated else [_rated_in_training(trained, model, split)]
    if rated:
        # In the rows of the model; ids that it does not know become -1 and exclude nothing.
        known.append(reading.read(rated, screen).within(trained.users, trained.items))
    wanted = (
        prediction.all_rows(trained.users)
        if everyone
        else prediction.listed_rows(trained.users, "user", user or [], users, encoding)
    )
    models.warn_untrained(trained.users, wanted)  # they all get the same list
    exclude = models.Rated.of(*known) if known else None
    table = listing.recommend(trained, wanted, exclude, threads, encoding)
    listing.print(table, "recommendations", screen, encoding)


def _rated_in_training(model: Model, folder: Path, split: Path) -> Ratings:
    """Return the training ratings, in the rows of the model."""
    parts = splits.read_split(split)
    remedy = ("use ", Param("include_rated", True), " to recommend anyway")
    models.check_same_split(model, parts.hash, folder, split, remedy)
    return parts.train.within(model.users, model.items)

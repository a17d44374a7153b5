"""`mfcli fold-in`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfcli import data, model as models, predict as prediction, storage
from mfcli.cli.formatting import count
from mfcli.cli.item_lists import (
    CLIP,
    LISTING,
    NO_EXCLUSION,
    RECOMMENDATIONS,
    TITLES,
    IncludeRated,
    Listing,
    ListingOptions,
    exclusion,
)
from mfcli.cli.options import FILES, Given
from mfcli.cli.reading_options import WeightedReadingOptions
from mfcli.cli.row_output import check_out
from mfcli.cli.screen import Screen, ScreenOptions
from mfcli.cli.setting_options import Settings
from mfcli.cli.shared_options import ModelFolder, Threads, one_of, refuse, refuse_clip
from mfcli.cli.streams import print_line
from mfcli.errors import UsageError

if TYPE_CHECKING:
    from mfcli.data import Ratings
    from mfcli.model import FoldedUsers, Model

_SHOWN = 100  # users whose recommendations are shown in a table
_FILE = "file"
_NOT_WITH_EXTEND = [
    *(parameter.name for parameter in LISTING.parameters()),
    *("exclude", "include_rated", "clip", "threads"),
]


def fold_in(
    *,
    ratings: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE", help="Files of ratings of the new users, as for mfcli split."
        ),
    ],
    given: Given,
    listing: ListingOptions,
    reading: WeightedReadingOptions,
    screen: ScreenOptions,
    exclude: Annotated[
        str,
        typer.Option(
            "--exclude",
            metavar="NAME",
            help="Omit items rated by the user in the file (file), or none.",
            callback=one_of("exclude", _FILE, NO_EXCLUSION),
            rich_help_panel=RECOMMENDATIONS,
        ),
    ] = _FILE,
    include_rated: IncludeRated = False,
    settings: Annotated[Settings, CLIP],
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="Replace users that the model knows; use these ratings alone.",
            rich_help_panel="New users",
        ),
    ] = False,
    threads: Threads = None,
    model: ModelFolder = Path("model"),
    extend: Annotated[
        Path | None,
        typer.Option(
            "--extend",
            metavar="DIR",
            help="Write a model that includes the new users to this folder; recommend nothing.",
            rich_help_panel=FILES,
        ),
    ] = None,
) -> None:
    """Add new users to a model without training, and recommend items to them.

    Their factors and biases are estimated from their ratings.
    """
    check_out(listing.out)
    if extend is not None:
        refuse(given, _NOT_WITH_EXTEND, "with --extend", "omit one of them")
        storage.check_replaceable(extend, models.MODEL_FILES)  # before the ratings are read
    if not listing.items:
        refuse(given, ["strict"], "without --items", "omit it")
    if not listing.titles:
        refuse(given, TITLES, "without --titles", "omit it")
    exclude = exclusion(exclude, include_rated, given)
    trained = models.Model.load(model)
    refuse_clip(given, trained)
    read = reading.like(trained.feedback).read(ratings, screen)
    folded = models.fold_in(trained, read, replace=replace)
    if extend is None:
        _check_size(folded, listing, screen)
    _note_omitted(read, folded, screen)
    if extend is not None:
        _write_extended(trained, folded, extend, screen)
        return
    users = prediction.all_rows(folded.model.users)
    # New users have no training ratings; what they have rated is in the file.
    omitted = models.Rated.of(folded.rated) if exclude == _FILE else None
    encoding, names = reading.config.encoding, trained.columns | reading.columns
    how = prediction.ListReading(encoding, names=names, strict=listing.strict)
    table = listing.recommend(
        folded.model,
        users,
        omitted,
        listing.explainer(trained, folded.rated),
        settings.config,
        threads,
        how,
        screen,
    )
    facts = {"folded_in": folded.as_dict()}
    listing.print(table, "recommendations", screen, encoding, names, facts, trained.feedback)


def _check_size(folded: FoldedUsers, listing: Listing, screen: Screen) -> None:
    users = len(folded.model.users)
    if listing.out is None and not screen.json and users > _SHOWN:
        raise UsageError(
            f"{users:,} users are too many for a table; write the recommendations with --out FILE,"
            " or --out - for CSV on stdout"
        )


def _note_omitted(read: Ratings, folded: FoldedUsers, screen: Screen) -> None:
    for kind, rows in (read.source.rejected if read.source else {}).items():
        screen.note(f"skipped {count(rows, 'row')}: invalid {kind}")
    if folded.unknown_ratings:
        ratings = count(folded.unknown_ratings, "rating")
        items = count(folded.unknown_items, "item")
        screen.note(f"ignored {ratings} of {items} without training ratings")
    if folded.empty_users:
        users = count(folded.empty_users, "user")
        how = "predicting the mean and the items' biases"
        if not folded.model.item_biases.any():
            how = "recommending the most popular items"
        screen.note(f"{users} without usable ratings: {how}")
    # Ratings in other units, such as 1 to 10 for a model of 1 to 5, would give extreme users.
    given, known = folded.rated.scale(), folded.model.scale
    is_beyond = given.min < known.min or given.max > known.max
    if is_beyond and folded.model.feedback == data.EXPLICIT:  # events may be any number
        screen.note(
            f"ratings range from {given.min:g} to {given.max:g}; the model was trained on"
            f" {known.min:g} to {known.max:g}"
        )


def _write_extended(trained: Model, folded: FoldedUsers, folder: Path, screen: Screen) -> None:
    made = models.extended(trained, folded)
    made.save(folder)
    if made.users.ids.type != trained.users.ids.type:
        screen.note(f"{folder}: user ids are text now, because some new ids are")
    facts = folded.as_dict()
    ratings = count(facts["ratings"], "rating")
    line = f"{folder}: {len(made.users):,} users, {facts['users']:,} of them from {ratings}"
    result = {"folded_in": facts, "model": str(folder), "users": len(made.users)}
    screen.show(result, lambda: print_line(line))

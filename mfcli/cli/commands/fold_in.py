"""`mfcli fold-in`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfcli import data, model as models, predict as prediction, splits, storage
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
from mfcli.cli.shared_options import ModelFolder, SplitFolder, Threads, one_of, refuse, refuse_clip
from mfcli.cli.streams import print_line
from mfcli.errors import Param, UsageError

if TYPE_CHECKING:
    from mfcli.data import Ratings
    from mfcli.model import FoldedIn, Model, RatedParts
    from mfcli.splits import Split

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
            metavar="FILE", help="Files of ratings by new or known users, as for mfcli split."
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
            help="Omit items rated by the user in the file, and in the split if it is used (file),"
            " or none.",
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
            help="Estimate users that the model knows from these ratings alone; also items that"
            " were folded in.",
            rich_help_panel="Users and items",
        ),
    ] = False,
    threads: Threads = None,
    model: ModelFolder = Path("model"),
    split: SplitFolder = Path("split"),
    extend: Annotated[
        Path | None,
        typer.Option(
            "--extend",
            metavar="DIR",
            help="Write a model that includes these users and items to this folder; recommend"
            " nothing.",
            rich_help_panel=FILES,
        ),
    ] = None,
) -> None:
    """Add users and items to a model without training, and recommend items to the users.

    Items that the model does not know are estimated from ratings by users that it knows; then, all
    users in the file are estimated from their ratings. Users that the model knows keep their
    ratings in the split; of two ratings of an item, the later one counts.
    """
    check_out(listing.out)
    if extend is not None:
        refuse(given, _NOT_WITH_EXTEND, "with --extend", "omit one of them")
        storage.check_replaceable(extend, models.MODEL_FILES)  # before the ratings are read
    if replace:
        refuse(given, ["split"], "with --replace", "omit one of them")
    if not listing.items:
        refuse(given, ["strict"], "without --items", "omit it")
    if not listing.titles:
        refuse(given, TITLES, "without --titles", "omit it")
    exclude = exclusion(exclude, include_rated, given)
    trained = models.Model.load(model)
    refuse_clip(given, trained)
    read = reading.like(trained.feedback).read(ratings, screen)
    parts = None
    if not replace and models.known_users(trained, read).any():
        parts = _read_split(split, trained, model, given)
    folded = models.fold_in(trained, read, split=parts, replace=replace)
    if extend is None:
        _check_size(folded, listing, screen)
    _note_omitted(read, folded, screen)
    _note_estimated(folded, split if parts else None, screen)
    if extend is not None:
        _write_extended(trained, folded, extend, screen)
        return
    users = prediction.all_rows(folded.model.users)
    omitted = _rated_by(folded, parts) if exclude == _FILE else None
    encoding, names = reading.config.encoding, trained.columns | reading.columns
    how = prediction.ListReading(encoding, names=names, strict=listing.strict)
    tables = listing.recommend(
        folded.model,
        users,
        omitted,
        listing.explainer(folded.basis, models.RatedParts.of(folded.rated)),
        settings.config,
        threads,
        how,
        screen,
    )
    facts = {"folded_in": folded.as_dict()}
    listing.print(tables, "recommendations", screen, encoding, names, facts, trained.feedback)


def _read_split(folder: Path, trained: Model, model: Path, given: Given) -> Split | None:
    """Read the split of the model; None if there is none at the default place."""
    if "split" not in given and not folder.exists():
        return None
    found = splits.read_split(folder)
    remedy: list[str | Param] = ["use the new ratings alone with ", Param("replace", True)]
    models.check_same_split(trained, found, model, folder, remedy)
    return found


def _rated_by(folded: FoldedIn, split: Split | None) -> RatedParts:
    """Return what the users have rated in the file and in all parts of the split."""
    parts = split.parts.values() if split else ()
    return models.RatedParts([folded.rated, *parts], folded.model.users, folded.model.items)


def _check_size(folded: FoldedIn, listing: Listing, screen: Screen) -> None:
    users = len(folded.model.users)
    if listing.out is None and not screen.json and users > _SHOWN:
        raise UsageError(
            f"{users:,} users are too many for a table; write the recommendations with --out FILE,"
            " or --out - for CSV on stdout"
        )


def _note_omitted(read: Ratings, folded: FoldedIn, screen: Screen) -> None:
    for kind, rows in (read.source.rejected if read.source else {}).items():
        screen.note(f"skipped {count(rows, 'row')}: invalid {kind}")
    if folded.unknown_ratings:
        ratings = count(folded.unknown_ratings, "rating")
        items = count(folded.unknown_items, "item")
        screen.note(f"ignored {ratings} of {items} that no user of the model has rated")
    if folded.empty_users:
        users = count(folded.empty_users, "user")
        how = "predicting the mean and the items' biases"
        if not folded.model.item_biases.any():
            how = "recommending the most popular items"
        screen.note(f"{users} without usable ratings: {how}")
    # Ratings in other units, such as 1 to 10 for a model of 1 to 5, would give extreme users.
    given, known = read.scale(), folded.model.scale
    is_beyond = given.min < known.min or given.max > known.max
    if is_beyond and folded.model.feedback == data.EXPLICIT:  # events may be any number
        screen.note(
            f"ratings range from {given.min:g} to {given.max:g}; the model was trained on"
            f" {known.min:g} to {known.max:g}"
        )


def _note_estimated(folded: FoldedIn, split: Path | None, screen: Screen) -> None:
    facts = folded.as_dict()
    if facts["items"]:
        ratings = count(facts["item_ratings"], "rating")
        items = count(facts["items"], "new item")
        screen.note(f"estimated {items} from {ratings} by users of the model")
    if split:
        users = count(folded.replaced, "user")
        screen.note(f"for {users} of the model, training ratings in {split} count, too")


def _write_extended(trained: Model, folded: FoldedIn, folder: Path, screen: Screen) -> None:
    made = models.extended(trained, folded)
    made.save(folder)
    for side in ("user", "item"):
        if made.side(side).ids.type != trained.side(side).ids.type:
            screen.note(f"{folder}: {side} ids are text now, because some new ids are")
    facts = folded.as_dict()
    ratings = count(facts["ratings"], "rating")
    line = f"{folder}: {len(made.users):,} users, {facts['users']:,} of them from {ratings}"
    if facts["items"]:
        ratings = count(facts["item_ratings"], "rating")
        line += f"; {len(made.items):,} items, {facts['items']:,} of them from {ratings}"
    sizes = {"users": len(made.users), "items": len(made.items)}
    result = {"folded_in": facts, "model": str(folder), **sizes}
    screen.show(result, lambda: print_line(line))

"""`mfcli recommend`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfcli import model as models, predict as prediction, splits, storage
from mfcli.cli.cluster_options import on_cluster
from mfcli.cli.item_lists import (
    NO_EXCLUSION,
    RECOMMENDATIONS,
    TITLES,
    IncludeRated,
    ListingOptions,
    exclusion,
)
from mfcli.cli.options import Given, SettingsGroup
from mfcli.cli.reading_options import OF_RATINGS, Reading, ReadingGroup
from mfcli.cli.resource_options import within_limits
from mfcli.cli.row_output import check_out
from mfcli.cli.screen import Screen, ScreenOptions
from mfcli.cli.setting_options import Settings
from mfcli.cli.shared_options import ModelFolder, SplitFolder, Threads, one_of, refuse, refuse_clip
from mfcli.errors import ArtifactError, Param, UsageError

if TYPE_CHECKING:
    from mfcli.data import Ratings
    from mfcli.model import Model
    from mfcli.splits import Split

_PANEL = "Users"
_TRAIN, _SPLIT = "train", "split"
_READING = ReadingGroup(*OF_RATINGS)
_SEED = {"help": "Random seed of --sort sample; another one draws other lists."}
_SETTINGS = SettingsGroup("clip", "seed", panel=RECOMMENDATIONS, changes={"seed": _SEED})


def _check_cluster(given: frozenset[str]) -> None:
    """Refuse options with which a cluster would take longer to start than the work."""
    if "user" in given and given.isdisjoint({"users", "everyone"}):
        refuse(given, ["cluster"], "without --all or --users", "omit it")
    refuse(given, ["threads"], "with --cluster", "omit it")


@within_limits()
@on_cluster(_check_cluster)
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
    exclude: Annotated[
        str,
        typer.Option(
            "--exclude",
            metavar="NAME",
            help="Omit items rated by the user in training (train), in all parts (split), or none.",
            callback=one_of("exclude", _TRAIN, _SPLIT, NO_EXCLUSION),
            rich_help_panel=RECOMMENDATIONS,
        ),
    ] = _SPLIT,
    include_rated: IncludeRated = False,
    sort: Annotated[
        str,
        typer.Option(
            "--sort",
            metavar="NAME",
            help="Sort by the expected rating (mean), the low or high end of its interval, or a"
            " sample for each user; all but mean need mfcli train --keep-samples.",
            callback=one_of("sort", *models.SORTS),
            autocompletion=lambda: list(models.SORTS),
            rich_help_panel=RECOMMENDATIONS,
        ),
    ] = "mean",
    interval: Annotated[
        float | None,
        typer.Option(
            "--interval",
            metavar="FLOAT",
            help="Add the columns low and high, between which the expected rating is with this"
            " probability; unlike in mfcli predict, without the noise of single ratings.",
            show_default="0.9 with --sort low or high, otherwise no columns",
            rich_help_panel=RECOMMENDATIONS,
        ),
    ] = None,
    rated: Annotated[
        list[str] | None,
        typer.Option(
            "--rated",
            metavar="FILE",
            help="Also omit the user-item pairs in this file; it needs no ratings; repeatable.",
            rich_help_panel=RECOMMENDATIONS,
        ),
    ] = None,
    settings: Annotated[Settings, _SETTINGS],
    threads: Threads = None,
    model: ModelFolder = Path("model"),
    split: SplitFolder = Path("split"),
) -> None:
    """Recommend the items with the highest predicted ratings.

    Items that a user has rated are omitted. Predicted ratings are sorted before they are clipped;
    scores, of models that only rank, are not clipped.
    """
    if not (user or users or everyone):
        raise UsageError("name users with --user, --users FILE or --all")
    # A table of all users would fill the terminal for minutes.
    if everyone and listing.out is None:
        raise UsageError("--all requires --out FILE, or --out - for CSV on stdout")
    check_out(listing.out)
    _check_files(given)
    if sort != "sample":
        refuse(given, ["seed"], "without --sort sample", "omit it")
    order = models.Order(sort, interval, settings.config.seed)
    exclude = exclusion(exclude, include_rated, given)
    trained = models.Model.load(model)
    refuse_clip(given, trained)
    parts = None
    if exclude != NO_EXCLUSION or listing.explain:
        parts = _read_split(split, trained, model, listing.explain)
    known = _rated_in(parts, exclude, trained) if parts else []
    encoding, columns, names = reading.config.encoding, reading.columns, trained.columns
    skip = reading.config.on_bad_row == "skip"
    how = prediction.ListReading(encoding, columns, names, listing.strict, skip)
    if rated:
        with screen.byte_bar(f"reading {rated[0]}") as on_progress:
            known.append(prediction.rated_pairs(trained, rated, how, on_progress=on_progress))
        # The columns are those of the pairs; lists may have the same names, but need not.
        how = replace(how, columns={}, names=names | columns)
    wanted = (
        prediction.all_rows(trained.users)
        if everyone
        else prediction.listed_rows(trained.users, "user", user or [], users, how)
    )
    models.warn_untrained(trained, wanted, order)  # they all get the same list
    # Ids that the model does not know exclude nothing.
    omitted = models.RatedParts(known, trained.users, trained.items) if known else None
    explainer = None
    if parts and listing.explain:
        explainer = listing.explainer(trained, models.trained_parts(trained, parts))
    tables = listing.recommend(
        trained, wanted, omitted, explainer, settings.config, threads, how, screen, order
    )
    listing.print(tables, "recommendations", screen, encoding, names, feedback=trained.feedback)
    if parts:
        _note_quality(trained, parts, settings.config.relevant, storage.threads_of(threads), screen)


def _note_quality(
    model: Model, split: Split, relevant: float, threads: int, screen: Screen
) -> None:
    """Say so if a model that predicts ratings ranks worse than popularity, and what helps."""
    if screen.quiet or model.predicts != "ratings":
        return
    found = prediction.ranking_quality(model, split, relevant, threads)
    if found and found.model < found.popular:
        on = splits.ratings_of(found.part)
        screen.note(
            f"on {on}, this model ranks worse than popularity (NDCG {found.model:.3f} and"
            f" {found.popular:.3f}); for better lists: mfcli init --for ranking, then mfcli train"
        )


def _check_files(given: Given) -> None:
    """Refuse options of files that are not given."""
    for names, files in {
        ("user_col",): ("users", "rated"),
        ("item_col",): ("items", "rated"),
        ("on_bad_row",): ("rated",),
        ("strict",): ("users", "items", "rated"),
        TITLES: ("titles",),
        ("encoding",): ("users", "items", "rated", "titles"),
    }.items():
        if given.isdisjoint(files):
            options = " or ".join(f"--{name}" for name in files)
            refuse(given, names, f"without {options}", "omit it")


def _read_split(folder: Path, model: Model, model_folder: Path, is_needed: bool) -> Split:
    """Read the split of a model."""
    anyway: list[str | Param] = ["use ", Param("exclude", NO_EXCLUSION), " to recommend anyway"]
    if is_needed:
        anyway = ["omit ", Param("explain"), " and ", *anyway]
    try:
        found = splits.read_split(folder)
    except ArtifactError as error:
        if folder.exists():
            raise
        # A model is complete without its split, and may be used by somebody who does not have it.
        remedy = (error.remedy, ", or ", *anyway)
        raise ArtifactError(error.rule, place=folder, remedy=remedy) from None
    models.check_same_split(model, found, model_folder, folder, anyway)
    return found


def _rated_in(split: Split, what: str, model: Model) -> list[Ratings]:
    """Return the ratings of items that are not recommended."""
    names = {_TRAIN: model.trained_on, _SPLIT: [*split.parts], NO_EXCLUSION: []}[what]
    return [part for name, part in split.parts.items() if name in names]

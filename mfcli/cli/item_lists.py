"""Options for lists of items, and how the lists are made."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mfcli import model as models, predict as prediction
from mfcli.cli.options import FILES, FieldsGroup, SettingsGroup
from mfcli.cli.progress import counting
from mfcli.cli.row_output import Out, print_rows
from mfcli.cli.screen import Screen
from mfcli.cli.shared_options import fraction
from mfcli.cli.spelling import option_of
from mfcli.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from mfcli.config import Config
    from mfcli.model import Explainer, Model, Order, RatedParts
    from mfcli.predict import ListReading
    from mfcli.types import Rows

RECOMMENDATIONS = "Recommendations"
"""Panel of what is recommended."""

_REASONS = 3  # rated items that explain a prediction
_REASON = "because of"  # column of a rated item
_RATED = {"explicit": "rated", "implicit": "strength"}  # column of its rating, by feedback

NO_EXCLUSION = "none"
"""The value of `--exclude` with which items that a user has rated may be recommended."""

IncludeRated = Annotated[
    bool,
    typer.Option(
        "--include-rated",
        help=f"The same as --exclude {NO_EXCLUSION}.",
        rich_help_panel=RECOMMENDATIONS,
    ),
]


def exclusion(exclude: str, include_rated: bool, given: Collection[str]) -> str:
    """Return what to exclude, given `--exclude` and `--include-rated`.

    Raises
    ------
    UsageError
        If they contradict each other.
    """
    if not include_rated:
        return exclude
    if "exclude" in given and exclude != NO_EXCLUSION:
        raise UsageError(f"--include-rated contradicts --exclude {exclude}", remedy="omit one")
    return NO_EXCLUSION


def _fraction(name: str, help: str, default: str) -> Any:
    return typer.Option(
        option_of(name),
        metavar="FLOAT",
        help=help,
        show_default=default,
        callback=fraction(name),
        rich_help_panel=RECOMMENDATIONS,
    )


def _title_column(option: str, help: str) -> Any:
    return typer.Option(
        option, metavar="COLUMN", help=help, show_default="detected", rich_help_panel=FILES
    )


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
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Fail if a list has an id that the model does not know; by default, skip it.",
            rich_help_panel=RECOMMENDATIONS,
        ),
    ] = False
    min_count: Annotated[
        int,
        typer.Option(
            "--min-count",
            min=0,
            help="Omit items with fewer training ratings.",
            rich_help_panel=RECOMMENDATIONS,
        ),
    ] = 0
    max_popularity: Annotated[
        float,
        _fraction(
            "max_popularity",
            "Omit items more popular than this fraction of all items, such as 0.95.",
            "1, which omits none",
        ),
    ] = 1.0
    diversity: Annotated[
        float,
        _fraction(
            "diversity",
            "Diversity of each list, from 0 to 1. Items whose factors differ are chosen from"
            " the 10 n with the highest predictions (at least 100).",
            "0, the highest predictions",
        ),
    ] = 0.0
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help=f"Name the {_REASONS} rated items that increase each prediction most.",
            rich_help_panel=RECOMMENDATIONS,
        ),
    ] = False
    titles: Annotated[
        Path | None,
        typer.Option(
            "--titles",
            metavar="FILE",
            help="Add titles from a file with a column of items and one of titles.",
            rich_help_panel=FILES,
        ),
    ] = None
    title_id_col: Annotated[
        str | None, _title_column("--title-id-col", "Item id column of --titles.")
    ] = None
    title_col: Annotated[str | None, _title_column("--title-col", "Title column of --titles.")] = (
        None
    )
    out: Out = None

    @property
    def title_columns(self) -> dict[str, str]:
        """The columns of `titles` that were named, by role."""
        chosen = {"item": self.title_id_col, "title": self.title_col}
        return {role: column for role, column in chosen.items() if column is not None}

    def explainer(self, model: Model, ratings: RatedParts) -> Explainer | None:
        """Return what explains predictions, if requested; see `Explainer`."""
        return models.Explainer(model, ratings, _REASONS) if self.explain else None

    def recommend(
        self,
        model: Model,
        users: Rows,
        exclude: RatedParts | None,
        explainer: Explainer | None,
        config: Config,
        threads: int | None,
        reading: ListReading,
        screen: Screen,
        order: Order | None = None,
    ) -> Iterator[pa.Table]:
        """Yield tables of the best items for some users, as `recommended_tables` does.

        By default, these are the items with the highest predictions. Of the config, `clip` is used.
        """
        listed = None
        if self.items:
            listed = prediction.listed_rows(model.items, "item", (), self.items, reading)
        allowed = prediction.candidates(model.items, listed, self.min_count, self.max_popularity)
        with self._screen(screen).progress() as shown:
            ranking = shown.work("ranking items", counting("users"))
            ranking.update(0, 0)
            yield from models.recommended_tables(
                model,
                users,
                self.n,
                exclude=exclude,
                candidates=allowed,
                diversity=self.diversity,
                explainer=explainer,
                order=order or models.Order(),
                clip=config.clip,
                threads=threads,
                on_progress=ranking.update,
                on_sorting=shown.work("sorting ratings by user").update,
            )

    def _screen(self, screen: Screen) -> Screen:
        # Rows are written while the bar is shown, which would erase them on the same terminal.
        mixed = str(self.out) == "-" and sys.stdout.isatty()
        return replace(screen, quiet=True) if mixed else screen

    def print(
        self,
        tables: Iterable[pa.Table],
        name: str,
        screen: Screen,
        encoding: str,
        names: Mapping[str, str],
        facts: dict[str, Any] | None = None,
        feedback: str = "explicit",
    ) -> None:
        """Print or write tables of items, with their titles.

        The names of columns are those of the ratings, which are of some kind of feedback.
        """
        titles = None
        if self.titles:
            titles = prediction.ListedTitles(
                self.titles, encoding, title_columns=self.title_columns, names=names
            )
            tables = map(titles.added, tables)
        shown = partial(_shown, rated=_RATED[feedback]) if self.explain else lambda table: table
        print_rows(tables, name, self.out, screen, facts, shown)
        if titles:
            titles.warn()


def _shown(table: pa.Table, rated: str) -> pa.Table:
    """Return a table for people, in which each rated item that explains a row has its own line."""
    names = [name for name in table.column_names if not name.startswith("because_")]
    lines: list[dict[str, Any]] = []
    for row in table.to_pylist():
        first, *more = _reasons(row, rated) or [{}]
        lines += [{name: row[name] for name in names} | first, *more]
    columns = {name: [line.get(name) for line in lines] for name in (*names, _REASON, rated)}
    if {*columns[rated]} <= {None, "1"}:  # events that happened once
        del columns[rated]
    return type(table).from_pydict(columns)  # pyarrow is not imported for help


def _reasons(row: Mapping[str, Any], rated: str) -> list[dict[str, str]]:
    """Return the rated items that explain a row of a table, and their ratings."""
    names = [f"because_{number}" for number in range(1, _REASONS + 1)]
    return [
        {_REASON: str(row.get(f"{name}_title") or row[name]), rated: f"{row[f'{name}_rating']:g}"}
        for name in names
        if row[name] is not None
    ]


TITLES = ("title_id_col", "title_col")
"""Options that need `--titles`."""
CLIP = SettingsGroup("clip", panel=RECOMMENDATIONS)
LISTING = FieldsGroup(Listing)
ListingOptions = Annotated[Listing, LISTING]

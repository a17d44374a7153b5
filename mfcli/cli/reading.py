"""Options for reading files of ratings."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mfcli import data
from mfcli.cli.options import Call, Group
from mfcli.cli.screen import Screen
from mfcli.cli.settings import setting_options
from mfcli.cli.shared_options import ItemColumn, UserColumn
from mfcli.config import DATA, Config, settings_in

if TYPE_CHECKING:
    from mfcli.data import Ratings

RatingColumn = Annotated[
    str | None,
    typer.Option(
        "--rating-col",
        metavar="COLUMN",
        help="Rating column.",
        show_default="detected",
        rich_help_panel="Data",
    ),
]
TimeColumn = Annotated[
    str | None,
    typer.Option(
        "--time-col",
        metavar="COLUMN",
        help="Timestamp column; '' to ignore timestamps.",
        show_default="detected",
        rich_help_panel="Data",
    ),
]

_ROLES = {"user_col": "user", "item_col": "item", "rating_col": "rating", "time_col": "timestamp"}


@dataclass(frozen=True)
class Reading:
    """How to read files of ratings.

    Attributes
    ----------
    columns : dict of str
        Columns that were named, by role.
    config : Config
        For `decimal`, `duplicates` and `on_bad_row`.
    """

    columns: dict[str, str]
    config: Config

    @contextmanager
    def rejected(self) -> Iterator[Path | None]:
        """Yield a temporary file for invalid rows; None if they are errors."""
        if self.config.on_bad_row == "stop":
            yield None
            return
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder) / "rejected.csv"

    def read(self, names: Sequence[str], screen: Screen) -> Ratings:
        """Read files behind a progress bar, and forget invalid rows if they are to be skipped."""
        with self.rejected() as rejected:
            return self.read_listing(names, rejected, screen)

    def read_listing(self, names: Sequence[str], rejected: Path | None, screen: Screen) -> Ratings:
        """Read files behind a progress bar, and list invalid rows in a file."""
        with screen.byte_bar(f"reading {names[0]}") as on_progress:
            return data.read_ratings(
                names,
                columns=self.columns,
                decimal=self.config.decimal,
                duplicates=self.config.duplicates,
                rejected=rejected,
                on_progress=on_progress,
            )


class ReadingGroup(Group):
    """The options for reading ratings, which arrive as `Reading`.

    Parameters
    ----------
    *without : str
        Settings of the data stage that have no effect on the command.
    """

    def __init__(self, *without: str) -> None:
        names = [name for name in settings_in(DATA) if name not in without]
        self.settings = setting_options(names)

    @property
    def names(self) -> list[str]:
        """The names of all its options."""
        return [*_ROLES, *(option.name for option in self.settings)]

    def parameters(self) -> list[inspect.Parameter]:
        options = (UserColumn, ItemColumn, RatingColumn, TimeColumn)
        kind = inspect.Parameter.KEYWORD_ONLY
        return [
            inspect.Parameter(name, kind, default=None, annotation=option)
            for name, option in zip(_ROLES, options, strict=True)
        ]

    def collect(self, call: Call, values: dict[str, Any]) -> Reading:
        columns = {_ROLES[name]: value for name, value in values.items() if value is not None}
        return Reading(columns, call.settings.config)


ReadingOptions = Annotated[Reading, ReadingGroup()]

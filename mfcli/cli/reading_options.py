"""Options for reading files of ratings."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mfcli import data, storage
from mfcli.cli.options import Call, FieldsGroup
from mfcli.cli.progress import byte_count
from mfcli.cli.screen import Screen
from mfcli.cli.setting_options import setting_options
from mfcli.cli.spelling import spelled
from mfcli.config import DATA, DEFAULTS, Config, settings_in
from mfcli.errors import Param

if TYPE_CHECKING:
    from mfcli.data import Buckets, Ratings, Survey
    from mfcli.splits import Split

_ROLES = {
    "user_col": "user",
    "item_col": "item",
    "rating_col": "rating",
    "time_col": "timestamp",
    "weight_col": "weight",
}


def _column(option: str, help: str, default: str = "detected") -> Any:
    return typer.Option(
        option, metavar="COLUMN", help=help, show_default=default, rich_help_panel="Data"
    )


@dataclass(frozen=True)
class Reading:
    """How to read files of ratings.

    Attributes
    ----------
    user_col, item_col, ... : str, optional
        Columns that were named.
    config : Config
        Has the settings of the data stage.
    events : bool
        Whether each row is an event if the files have no rating column.
    names : mapping of str
        Columns of other ratings, by role, which are looked for first.
    """

    user_col: Annotated[
        str | None,
        _column("--user-col", "User id column (name, or position from 1 without a header)."),
    ] = None
    item_col: Annotated[str | None, _column("--item-col", "Item id column.")] = None
    rating_col: Annotated[
        str | None, _column("--rating-col", "Rating column; '' if each row is an event.")
    ] = None
    time_col: Annotated[
        str | None, _column("--time-col", "Timestamp column; '' to ignore timestamps.")
    ] = None
    weight_col: Annotated[
        str | None,
        _column("--weight-col", "Column of positive weights of the ratings.", "none"),
    ] = None
    config: Config = DEFAULTS
    events: bool = False
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> dict[str, str]:
        """The columns that were named, by role."""
        named = {role: getattr(self, field) for field, role in _ROLES.items()}
        # An empty name is not missing: `--time-col ''` ignores timestamps. The shell of Windows
        # passes the quotes on.
        return {r: name if name != "''" else "" for r, name in named.items() if name is not None}

    @contextmanager
    def rejected(self) -> Iterator[Path | None]:
        """Yield a temporary file for invalid rows; None if they are errors."""
        if self.config.on_bad_row == "stop":
            yield None
            return
        # The list becomes part of the result, if there is one; until then it is temporary.
        with storage.scratch_folder() as folder:
            yield folder / "rejected.csv"

    def like(self, feedback: str) -> Reading:
        """Return how to read ratings that go with a split or a model of the same feedback.

        Options override it.
        """
        if feedback != data.IMPLICIT or self.config.feedback:
            return self
        return replace(self, config=replace(self.config, feedback=feedback), events=True)

    def following(self, split: Split) -> Reading:
        """Return how to read ratings for a split in the same way as those that it was made from.

        Options override it.
        """
        how, source = self.like(split.feedback), split.source
        if source is None:
            return how
        # Without such a column, each row was an event, or times were ignored.
        columns = {"rating": "rating_col", "timestamp": "time_col"}
        missing = [field for role, field in columns.items() if role not in source.columns]
        changes: dict[str, Any] = {f: "" for f in missing if getattr(self, f) is None}
        text = {n: source.settings[n] for n in ("encoding", "decimal") if n in source.settings}
        same: dict[str, Any] = {
            n: v for n, v in text.items() if getattr(how.config, n) == getattr(DEFAULTS, n)
        }
        changes["config"] = replace(how.config, **same)
        return replace(how, names=source.columns, **changes)

    def split_command(self, names: Sequence[str], params: Sequence[Param]) -> str:
        """Return the command that splits files that are read in this way, with other parameters."""
        columns = [Param(f"columns.{role}", name) for role, name in self.columns.items()]
        values = {name: getattr(self.config, name) for name in settings_in(DATA)}
        changed = [Param(n, v) for n, v in values.items() if v != getattr(DEFAULTS, n)]
        options = {param.name: spelled(param) for param in (*columns, *changed, *params)}
        return " ".join(["mfcli split", *map(shlex.quote, names), *options.values()])

    def read(self, names: Sequence[str], screen: Screen) -> Ratings:
        """Read files with a progress bar; rows that are skipped are counted, but not listed."""
        with self.rejected() as rejected:
            return self.read_listing(names, rejected, screen)

    def read_listing(self, names: Sequence[str], rejected: Path | None, screen: Screen) -> Ratings:
        """Read files with a progress bar, and list invalid rows in a file."""
        with screen.byte_bar(f"reading {Path(names[0]).name}") as on_progress:
            return data.read_ratings(names, **self._how(rejected), on_progress=on_progress)

    def survey(self, names: Sequence[str]) -> Survey:
        """Take a quick look at files without reading them completely."""
        return data.survey_ratings(names, **self._how(None))

    @contextmanager
    def read_buckets(
        self, names: Sequence[str], rejected: Path | None, screen: Screen
    ) -> Iterator[Buckets]:
        """As `read_listing`; within the block, what does not fit in memory is on disk."""
        with ExitStack() as stack:
            with screen.progress() as shown:
                reading = shown.work(f"reading {Path(names[0]).name}", byte_count)
                reading.update(0, 0)
                buckets = data.read_buckets(
                    names,
                    **self._how(rejected),
                    on_progress=reading.update,
                    on_merging=shown.work("merging duplicates").update,
                )
                read = stack.enter_context(buckets)
            yield read

    def _how(self, rejected: Path | None) -> dict[str, Any]:
        """Return how to read files, as arguments."""
        return {
            "columns": self.columns,
            "like": self.names,
            "decimal": self.config.decimal,
            "encoding": self.config.encoding,
            "duplicates": self.config.duplicates,
            "feedback": self.config.feedback,
            "rejected": rejected,
            "events": self.events,
        }


class ReadingGroup(FieldsGroup):
    """The options for reading ratings, which arrive as `Reading`.

    Parameters
    ----------
    *without : str
        Columns, and settings of the data stage, that have no effect on the command.
    """

    def __init__(self, *without: str) -> None:
        self._roles = [name for name in _ROLES if name not in without]
        super().__init__(Reading, *self._roles)
        self.settings = setting_options(name for name in settings_in(DATA) if name not in without)

    @property
    def names(self) -> list[str]:
        """The names of all its options."""
        return [*self._roles, *(option.name for option in self.settings)]

    def collect(self, call: Call, values: dict[str, Any]) -> Reading:
        return Reading(**values, config=call.settings.config)


WeightedReadingOptions = Annotated[Reading, ReadingGroup()]
ReadingOptions = Annotated[Reading, ReadingGroup("weight_col")]
"""For ratings whose weights have no effect, since they are not trained on."""
OF_RATINGS = ("rating_col", "time_col", "weight_col", "decimal", "feedback", "duplicates")
"""Columns and settings that are of no use for pairs without ratings."""
PAIR_READING = ReadingGroup(*OF_RATINGS, "on_bad_row")
PairReadingOptions = Annotated[Reading, PAIR_READING]
"""For files of pairs, which have no ratings."""

"""Warnings about ratings; each follows from the facts, and one also from k."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mfcli.checks.activity import Activity, IdExamples
from mfcli.checks.facts import Facts
from mfcli.checks.rating_values import RatingValues
from mfcli.checks.times import Times
from mfcli.config import Config
from mfcli.data import IMPLICIT, PLAUSIBLE, UNITS
from mfcli.errors import Param, Spell, Text, phrased

_FEW = 1000  # ratings
_MANY_DUPLICATES = 0.01  # of the rows
_MOSTLY = 0.2  # of the rows are duplicates
_MANY_SINGLE = 0.2  # of the users or items
_HEAVY = 0.05  # of the ratings, by one user
_SHOWN = 5  # far values in a warning
_RATING_COLUMN = Param("columns.rating")


@dataclass(frozen=True)
class DataWarning:
    """Something to examine before training.

    ``str(warning)`` spells parameters as in Python; `phrase` takes another spelling.

    Attributes
    ----------
    what : str
        The kind of the warning: the same words for all data.
    value : str
    remedy : Text
    serious : bool
        Whether a file was probably misread or has faults, so that `mfcli split` also shows it.
    """

    what: str
    value: str
    remedy: Text
    serious: bool = False

    def __str__(self) -> str:
        return self.phrase(str)

    def phrase(self, spell: Spell) -> str:
        """Return the warning as one sentence.

        Parameters
        ----------
        spell : callable
            Spells a parameter.
        """
        return f"{self.what}: {self.value}; {phrased(self.remedy, spell)}"

    def as_dict(self, spell: Spell) -> dict[str, str]:
        return {"what": self.what, "value": self.value, "remedy": phrased(self.remedy, spell)}


def warnings_of(facts: Facts) -> Iterator[DataWarning]:
    """Yield the warnings that follow from facts about ratings."""
    yield from _about_number(facts)
    if not facts.is_implicit:  # events repeat, and their strengths have no scale
        yield from _about_duplicates(facts)
        yield from _about_values(facts)
    if facts.times:
        yield from _about_times(facts.times, facts.noun)
    for side in (facts.users, facts.items):
        yield from _about_activity(side, facts.noun)
        yield from _about_ids(side)


def _about_number(facts: Facts) -> Iterator[DataWarning]:
    if facts.ratings < _FEW:
        yield DataWarning(
            f"few {facts.noun}",
            f"{facts.ratings:,}",
            [
                f"errors measured on few {facts.noun} are uncertain: split with ",
                Param("strategy", "k-fold"),
            ],
        )


def _about_duplicates(facts: Facts) -> Iterator[DataWarning]:
    if facts.duplicate_share > _MANY_DUPLICATES:
        yield DataWarning(
            "duplicates, an item rated again by the same user",
            _part(facts.duplicates, facts.rows, "rows"),
            [
                "check whether the file repeats itself, and choose how they are merged with ",
                Param("duplicates"),
            ],
            # With times, the latest rating counts. If most rows are duplicates, the item column may
            # hold a category instead.
            serious=not facts.conflicts
            and (facts.times is None or facts.duplicate_share > _MOSTLY),
        )
    if facts.conflicts:
        yield DataWarning(
            "duplicates with different ratings, and no times that tell the latest",
            _part(facts.conflicts, facts.rows, "rows"),
            ["the last row of each was kept; choose another rule with ", Param("duplicates")],
            serious=True,
        )


def _about_values(facts: Facts) -> Iterator[DataWarning]:
    if facts.values.counts:  # most other warnings would follow from this
        yield _about_counts(facts.values)
        return
    yield from _about_scale(facts)
    yield from _about_marks(facts.values)


def _about_counts(values: RatingValues) -> DataWarning:
    return DataWarning(
        "ratings look like numbers of events",
        f"whole numbers from {values.min:,.0f} to {values.max:,.0f}, half of them up to"
        f" {values.median:,.0f}",
        ["if they are counts, such as plays, use ", Param("feedback", IMPLICIT)],
        serious=True,
    )


def _about_scale(facts: Facts) -> Iterator[DataWarning]:
    values, most = facts.values, facts.values.most
    if values.distinct == 1:
        yield DataWarning(
            "all ratings are equal",
            f"{most.low:g}",
            [
                "if each row is an event (who used what), use ",
                Param("columns.rating", ""),
                "; if the file has ratings, name their column with ",
                _RATING_COLUMN,
            ],
            serious=True,
        )
    # With two values, such as like and dislike, one of them always has at least half.
    elif most.count > (0.5 if values.distinct > 2 else 0.9) * facts.ratings:
        yield DataWarning(
            "most ratings have one value",
            f"{most.low:g} in {_part(most.count, facts.ratings, 'ratings')}",
            [
                "compare the model to the baselines of mfcli evaluate, and check that ",
                _RATING_COLUMN,
                " is the column of ratings",
            ],
        )
    if values.min >= PLAUSIBLE:  # no scale reaches 10^8
        yield DataWarning(
            "ratings look like times",
            f"from {values.min:g} to {values.max:g}",
            ["choose the columns with ", _RATING_COLUMN, " and ", Param("columns.timestamp")],
            serious=True,
        )
    if values.distinct > 1 and values.step is None:
        yield DataWarning(
            "rating scale without steps",
            f"{values.distinct:,} distinct values from {values.min:g} to {values.max:g}",
            ["check that these are ratings, not counts or times; the column is ", _RATING_COLUMN],
        )


def _about_marks(values: RatingValues) -> Iterator[DataWarning]:
    if values.far:
        shown = ", ".join(f"{bin.low:g} ({bin.count:,}x)" for bin in values.far[:_SHOWN])
        more = f" and {len(values.far) - _SHOWN:,} more" if len(values.far) > _SHOWN else ""
        yield DataWarning(
            "ratings far from all others",
            shown + more,
            [
                "correct them or remove them from the file: they shift the mean, and training may"
                " diverge without a smaller ",
                Param("lr"),
            ],
            serious=True,
        )
    if values.not_rated:
        yield DataWarning(
            "zero may mean 'not rated'",
            f"{values.not_rated:,} ratings of 0",
            "if so, remove these rows from the file; otherwise they are learned as bad ratings",
            serious=True,
        )
    if values.negative:
        yield DataWarning(
            "negative ratings",
            f"{values.negative:,} from {values.min:g}",
            "if they mark missing ratings, remove these rows from the file",
            serious=True,
        )


def _about_times(times: Times, noun: str) -> Iterator[DataWarning]:
    # An empty name stands for no column.
    ignore = ("ignore times with ", Param("columns.timestamp", ""))
    if times.unit != "seconds":
        divide = f"divide them by {UNITS[times.unit]:,}, or the date of "
        yield DataWarning(
            "times are not in seconds",
            f"they look like {times.unit}",
            [divide, Param("cut"), " will not fit; or ", *ignore],
            serious=True,
        )
    if times.small is not None:
        value = f"from {times.small[0]:,} to {times.small[1]:,} seconds after 1970 began"
        remedy: list[Text] = ["name the column of times with ", Param("columns.timestamp"), ", or "]
        yield DataWarning("times are not dates", value, [*remedy, *ignore], serious=True)
    elif times.early:
        value = f"{_count(times.early, noun)}, the first of {times.first}"
        yield DataWarning("times before 1990", value, ["correct them, or ", *ignore], serious=True)
    if times.future:
        value = f"{_count(times.future, noun)}, the last of {times.last}"
        yield DataWarning(
            "times in the future", value, ["correct them, or ", *ignore], serious=True
        )
    if times.same:
        yield DataWarning("all times are the same", times.first, ["they give no order: ", *ignore])


def warnings_about_k(facts: Facts, config: Config) -> Iterator[DataWarning]:
    """Yield the warning that k does not suit the ratings."""
    median = facts.users.quantiles["50"]
    if facts.is_implicit:
        return  # unrated pairs count too
    # A user with fewer ratings than factors can be fitted without error.
    if config.k > median and not any(config.regs.values()):
        yield DataWarning(
            "more factors than ratings of a typical user",
            f"k {config.k}, the median user has {median:,}",
            ["the model will overfit: use ", Param("reg", 2e-5), " or a smaller ", Param("k")],
        )


def _about_activity(side: Activity, noun: str) -> Iterator[DataWarning]:
    one = side.name[:-1]
    if side.single_share > _MANY_SINGLE:
        yield DataWarning(
            f"{side.name} with a single {noun[:-1]}",
            _part(side.single, side.count, side.name),
            ["none of them can be both trained on and tested: use ", Param(f"min_{one}", 2)],
        )
    # With few users, each has a large part: then only twice the equal part is suspect.
    if side.name == "users" and side.most_share > max(_HEAVY, 2 / side.count):
        yield DataWarning(
            f"one {one} has a large part of the {noun}",
            f"{side.most} has {side.most_share:.1%}",
            [
                "if it is a robot or a shared account, remove it from the file; or split with ",
                Param("strategy", "per-user"),
            ],
            serious=True,
        )


def _about_ids(side: Activity) -> Iterator[DataWarning]:
    ids, one = side.ids, side.name[:-1]  # "user" or "item"
    if ids.uneven:
        yield DataWarning(
            f"{one} ids look like padded numbers",
            _such_as(ids.padded),
            "they are text, so 007 is not 7: write all with the same zeros, or none",
            serious=True,
        )
    if ids.blanks.count:
        yield DataWarning(
            f"{one} ids start or end with a blank",
            _such_as(ids.blanks),
            "blanks are part of an id: remove them from the file",
            serious=True,
        )
    if ids.alike.count:
        yield DataWarning(
            f"{one} ids differ only by case, blanks or zeros",
            _such_as(ids.alike),
            "they are probably the same: write each of them in one way in the file",
            serious=True,
        )
    if ids.stray.count:
        yield DataWarning(
            f"a few {one} ids are not whole numbers",
            _such_as(ids.stray),
            [
                "all others are; correct or remove them in the file, or check that they belong to ",
                Param(f"columns.{one}"),
            ],
            serious=True,
        )
    if ids.placeholders.count:
        yield DataWarning(
            f"{one} ids look like placeholders for unknown {side.name}",
            _such_as(ids.placeholders),
            f"if so, remove these rows from the file: they are not one {one}",
            serious=True,
        )


def _count(number: int, noun: str) -> str:
    return f"1 {noun[:-1]}" if number == 1 else f"{number:,} {noun}"


def _such_as(found: IdExamples) -> str:
    return f"{found.count:,}, such as {found.example}"


def _part(part: int, whole: int, noun: str) -> str:
    return f"{part:,} of {whole:,} {noun} ({part / whole:.1%})"

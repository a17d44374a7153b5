"""The facts about ratings that a report holds and that the warnings read."""

from __future__ import annotations

from dataclasses import dataclass

from mfcli.checks.activity import Activity, activity_of
from mfcli.checks.rating_values import RatingValues, values_of
from mfcli.checks.times import Times, times_of
from mfcli.data import IMPLICIT, Ratings, Source, rows_of


@dataclass(frozen=True)
class Facts:
    """Facts about ratings.

    Attributes
    ----------
    source : Source or None
        How the file was read.
    rows : int
        Rows read, duplicates included.
    ratings : int
        After merging duplicates.
    feedback : str
        As in `Ratings`.
    weights : list of two float, optional
        The smallest and the largest weight.
    duplicates : int
    duplicate_share : float
        Duplicates as a fraction of the rows.
    users, items : Activity
    density : float
        Fraction of all pairs of a user and an item that are rated.
    values : RatingValues
    conflicts : int
        Duplicates of which it is not known which one is the latest.
    times : Times or None
        None if there are no times.
    """

    source: Source | None
    rows: int
    ratings: int
    duplicates: int
    duplicate_share: float
    users: Activity
    items: Activity
    density: float
    values: RatingValues
    times: Times | None
    conflicts: int
    feedback: str
    weights: list[float] | None

    @property
    def is_implicit(self) -> bool:
        """Whether the values are strengths of events, not ratings."""
        return self.feedback == IMPLICIT

    @property
    def noun(self) -> str:
        """What the rows are called after merging, in the plural."""
        return rows_of(self.feedback)


def facts_of(ratings: Ratings, now: float) -> Facts:
    """Return the facts about ratings, at least one.

    Parameters
    ----------
    ratings : Ratings
    now : float
        Seconds since 1970.
    """
    source, weight = ratings.source, ratings.weight
    # Ratings that were made in memory have no source, and were not merged.
    rows, duplicates = (source.rows, source.duplicates) if source else (len(ratings), 0)
    return Facts(
        source=source,
        rows=rows,
        ratings=len(ratings),
        duplicates=duplicates,
        duplicate_share=duplicates / rows,
        users=activity_of("users", ratings.users, ratings.user),
        items=activity_of("items", ratings.items, ratings.item),
        density=ratings.density,
        values=values_of(ratings),
        times=times_of(ratings.timestamp, now),
        conflicts=source.conflicts if source else 0,
        feedback=ratings.feedback,
        weights=None if weight is None else [float(weight.min()), float(weight.max())],
    )

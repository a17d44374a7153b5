"""The facts about ratings that a report holds and that the warnings read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from numpy.typing import NDArray

from mfcli.checks.activity import Activity, activity_of
from mfcli.checks.rating_values import RatingValues, values_of
from mfcli.checks.times import Times, times_of
from mfcli.data import IMPLICIT, Buckets, Source, rows_of


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


def facts_of(buckets: Buckets, now: float) -> Facts:
    """Return the facts about ratings, at least one.

    The parts of the ratings do not matter, and may be assigned in the meantime.

    Parameters
    ----------
    buckets : Buckets
    now : float
        Seconds since 1970.
    """
    source, feedback = buckets.source, buckets.feedback
    total = int(buckets.users.counts.sum())
    # Ratings that were made in memory have no source, and were not merged.
    rows, duplicates = (source.rows, source.duplicates) if source else (total, 0)
    return Facts(
        source=source,
        rows=rows,
        ratings=total,
        duplicates=duplicates,
        duplicate_share=duplicates / rows,
        users=activity_of("users", buckets.users, total),
        items=activity_of("items", buckets.items, total),
        density=total / (len(buckets.users) * len(buckets.items)),
        values=values_of(_columns(buckets, "rating"), total, implicit=feedback == IMPLICIT),
        times=_times(buckets, now),
        conflicts=source.conflicts if source else 0,
        feedback=feedback,
        weights=_weights(buckets),
    )


def _columns(buckets: Buckets, name: str) -> Iterator[NDArray[Any]]:
    """Yield a column of one bucket after the other."""
    for bucket in range(len(buckets)):
        yield buckets.columns(bucket, name)[0]


def _times(buckets: Buckets, now: float) -> Times | None:
    if "timestamp" not in buckets.types:
        return None
    return times_of(partial(_columns, buckets, "timestamp"), now)


def _weights(buckets: Buckets) -> list[float] | None:
    if "weight" not in buckets.types:
        return None
    ends = [(w.min(), w.max()) for w in _columns(buckets, "weight") if len(w)]
    return [float(min(low for low, _ in ends)), float(max(high for _, high in ends))]

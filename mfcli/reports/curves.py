"""Curves of activity and popularity, and of ratings over time, with few points for any data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mfcli.types import Counts, Doubles

_POINTS = 80
_DAY = 86_400
_MOST_DAYS = 400_000  # about a thousand years; times that span more are not dates
_FEW_DAYS, _FEW_MONTHS = 90, 360  # below, days are drawn, then months, then years


class Curve(NamedTuple):
    """Points of a curve, float64 of shape (n,)."""

    x: Doubles
    y: Doubles


def rank_curve(counts: Counts) -> Curve:
    """Return the number of ratings by rank, the largest first; the ranks are spaced evenly in log.

    Parameters
    ----------
    counts : int64 array, shape (n,)
        Ratings of each user (or item), at least one above 0; zeros are left out.
    """
    ordered = np.sort(counts[counts > 0])[::-1]
    ranks = _ranks(len(ordered))
    return Curve(ranks.astype(np.float64), ordered[ranks - 1].astype(np.float64))


def share_curve(counts: Counts) -> Curve:
    """Return the fraction of all ratings that the most active fraction of users (or items) has.

    Parameters
    ----------
    counts : int64 array, shape (n,)
        As for `rank_curve`.
    """
    ordered = np.sort(counts[counts > 0])[::-1]
    sums, ranks = np.cumsum(ordered), _ranks(len(ordered))
    shares = sums[ranks - 1] / sums[-1]
    return Curve(np.concatenate([[0.0], ranks / len(ordered)]), np.concatenate([[0.0], shares]))


def _ranks(count: int) -> NDArray[np.int64]:
    """Return at most `_POINTS` ranks from 1 to a count."""
    return np.unique(np.geomspace(1, count, _POINTS).round().astype(np.int64))


class TimeCounts(NamedTuple):
    """Ratings in periods of the same kind.

    Attributes
    ----------
    period : str
        "day", "month" or "year".
    start : int64 array, shape (n,)
        When each period begins, in seconds since 1970.
    ratings : int64 array, shape (n,)
    """

    period: str
    start: NDArray[np.int64]
    ratings: Counts


def time_counts(pieces: Iterable[NDArray[np.int64]], first: int, last: int) -> TimeCounts | None:
    """Count ratings by day, month or year, whichever gives a readable curve.

    Parameters
    ----------
    pieces : iterable of int64 array
        Times in seconds since 1970.
    first, last : int
        The smallest and the largest of them.

    Returns
    -------
    TimeCounts or None
        None if the times span more than about a thousand years, or only one day.
    """
    start, days = first // _DAY, last // _DAY - first // _DAY + 1
    if not 1 < days <= _MOST_DAYS:
        return None
    by_day = np.zeros(days, np.int64)
    for piece in pieces:
        by_day += np.bincount(piece // _DAY - start, minlength=days)
    dates = np.arange(start, start + days).astype("datetime64[D]")
    for period, unit, most in (("day", "D", _FEW_DAYS), ("month", "M", _FEW_MONTHS)):
        found = _summed(period, unit, dates, by_day)
        if len(found.start) <= most:
            return found
    return _summed("year", "Y", dates, by_day)


def _summed(period: str, unit: str, dates: NDArray[np.datetime64], by_day: Counts) -> TimeCounts:
    """Add up the ratings of days in each period, empty ones included."""
    numbers = dates.astype(f"datetime64[{unit}]")
    begins = np.flatnonzero(np.concatenate([[True], numbers[1:] != numbers[:-1]]))
    seconds = numbers[begins].astype("datetime64[s]").astype(np.int64)
    return TimeCounts(period, seconds, np.add.reduceat(by_day, begins))

"""Where the error of a model is: by what it has seen, by rating, by month; and its calibration."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfcli.data import Scale
from mfcli.evaluation.tallies import Bins, Doubles, Tally

GROUPS = ("warm", "unseen_user", "unseen_item", "unseen_both")
Counts = NDArray[np.int64]

_TENTHS = 10
_CALIBRATION = 20  # bins of the predicted ratings
_RESIDUALS = 60  # bins of rating less prediction
_MOST_VALUES = 20  # distinct ratings shown one by one
_MOST_MONTHS = 1200  # times that span more are no seconds


class Breakdown:
    """Collects errors by item, by rating, by prediction and by month, piece by piece.

    Parameters
    ----------
    activity, popularity : int64 arrays, shapes (n_users,) and (n_items,)
        Training ratings of each user and of each item.
    scale : Scale
        Of the ratings.
    months : range
        Months since January 1970 that the ratings are from; empty for none.
    """

    def __init__(self, activity: Counts, popularity: Counts, scale: Scale, months: range) -> None:
        self._activity, self._popularity = activity, popularity
        self._items = Tally(len(popularity), "squared", "error")
        self._groups = Tally(len(GROUPS), "squared")
        self._value_bins = _value_bins(scale)
        self._values = Tally(self._value_bins.count, "squared", "rating", "predicted")
        self._predicted_bins = Bins(scale.min, scale.max, _CALIBRATION)
        self._predicted = Tally(_CALIBRATION, "rating", "predicted")
        span = scale.max - scale.min
        self._residual_bins = Bins(-span, span, _RESIDUALS)
        self._residuals = Tally(_RESIDUALS)
        self._first_month = months.start
        self._months = Tally(len(months), "squared", "error")

    def add(
        self,
        user: NDArray[np.int32],
        item: NDArray[np.int32],
        rating: Doubles,
        predicted: Doubles,
        seconds: NDArray[np.int64] | None,
    ) -> None:
        """Add ratings, all of shape (n,)."""
        error = predicted - rating
        squared = np.square(error)
        self._items.add(item, squared=squared, error=error)
        group = _unseen(self._activity[user]) + 2 * _unseen(self._popularity[item])
        self._groups.add(group, squared=squared)
        pair = {"rating": rating, "predicted": predicted}
        self._values.add(self._value_bins.of(rating), squared=squared, **pair)
        self._predicted.add(self._predicted_bins.of(predicted), **pair)
        self._residuals.add(self._residual_bins.of(-error))
        if seconds is not None and len(self._months.counts):
            month = month_of(seconds) - self._first_month
            self._months.add(month, squared=squared, error=error)

    def merge(self, other: Breakdown) -> None:
        for name, tally in vars(self).items():
            if isinstance(tally, Tally):
                tally.merge(vars(other)[name])

    def as_dict(self, users: Tally) -> dict[str, Any]:
        """Return the breakdown as plain values; `users` has columns `squared` and `error`."""
        return {
            "user_activity": _tenths(self._activity, users),
            "item_popularity": _tenths(self._popularity, self._items),
            "rating": self._by_value(),
            "month": self._by_month() or None,
            "calibration": self._calibration(),
            "residuals": {
                "edges": self._residual_bins.edges().tolist(),
                "ratings": self._residuals.counts.astype(int).tolist(),
            },
        }

    def group_errors(self) -> dict[str, dict[str, Any]]:
        """Return how many ratings each group has, and its RMSE (None where it has none)."""
        rmse = np.sqrt(self._groups.mean("squared"))
        return {
            name: {"ratings": int(count), "rmse": float(value) if count else None}
            for name, count, value in zip(GROUPS, self._groups.counts, rmse, strict=True)
        }

    def _by_value(self) -> list[dict[str, Any]]:
        tally = self._values
        return [
            {
                "rating": float(tally.mean("rating")[bin]),
                "ratings": int(tally.counts[bin]),
                "rmse": float(np.sqrt(tally.mean("squared")[bin])),
                "prediction": float(tally.mean("predicted")[bin]),
            }
            for bin in np.flatnonzero(tally.counts)
        ]

    def _calibration(self) -> list[dict[str, Any]]:
        tally = self._predicted
        return [
            {
                "prediction": float(tally.mean("predicted")[bin]),
                "ratings": int(tally.counts[bin]),
                "rating": float(tally.mean("rating")[bin]),
            }
            for bin in np.flatnonzero(tally.counts)
        ]

    def _by_month(self) -> list[dict[str, Any]]:
        tally = self._months
        return [
            {
                "month": str(np.datetime64(self._first_month + int(month), "M")),
                **_row(tally.counts[month], tally["squared"][month], tally["error"][month]),
            }
            for month in np.flatnonzero(tally.counts)
        ]


def _unseen(counts: Counts) -> Counts:
    unseen: Counts = (counts == 0).astype(np.int64)
    return unseen


def month_of(seconds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the months since January 1970 of seconds since then."""
    dates = seconds.astype("datetime64[s]").astype("datetime64[M]")
    months: NDArray[np.int64] = dates.astype(np.int64)
    return months


def months_of(seconds: NDArray[np.int64] | None) -> range:
    """Return the months that times span; empty if there are none, or if these are no seconds."""
    if seconds is None or not len(seconds):
        return range(0)
    ends = np.array([seconds.min(), seconds.max()])
    first, last = month_of(ends).tolist()
    return range(first, last + 1) if last - first < _MOST_MONTHS else range(0)


def _value_bins(scale: Scale) -> Bins:
    """Make a bin for each value of a scale, if it has steps and not too many."""
    if scale.step:
        steps = round((scale.max - scale.min) / scale.step)
        if steps < _MOST_VALUES:
            half = scale.step / 2
            return Bins(scale.min - half, scale.max + half, steps + 1)
    return Bins(scale.min, scale.max, _TENTHS)


def _tenths(amount: NDArray[np.int64], tally: Tally) -> list[dict[str, Any]]:
    """Divide ratings into tenths by the training ratings of their user or item.

    Ids with the same number stay together, so that there may be fewer parts, and larger ones.
    """
    there = tally.counts > 0
    values, place = np.unique(amount[there], return_inverse=True)
    by_value = Tally(len(values), "ratings", "squared", "error")
    columns = {name: tally[name][there] for name in ("squared", "error")}
    by_value.add(place, ratings=tally.counts[there], **columns)
    ratings = by_value["ratings"]
    middle = np.cumsum(ratings) - ratings / 2
    tenth = (middle * _TENTHS / ratings.sum()).astype(int)
    return [_tenth(values, by_value, np.flatnonzero(tenth == part)) for part in np.unique(tenth)]


def _tenth(values: NDArray[np.int64], by_value: Tally, part: NDArray[Any]) -> dict[str, Any]:
    sums = (float(by_value[name][part].sum()) for name in ("ratings", "squared", "error"))
    return {
        "from": int(values[part[0]]),
        "to": int(values[part[-1]]),
        "ids": int(by_value.counts[part].sum()),
        **_row(*sums),
    }


def _row(ratings: float, squared: float, error: float) -> dict[str, Any]:
    """Describe some ratings; `bias` is by how much predictions are too high in the mean."""
    return {
        "ratings": int(ratings),
        "rmse": float(np.sqrt(squared / ratings)),
        "bias": float(error / ratings),
    }

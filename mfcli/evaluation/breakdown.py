"""Break down errors by activity, popularity, rating, prediction and month."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sized
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfcli.data import Scale, pieces_of
from mfcli.evaluation.binned_sums import BinnedSums, Bins
from mfcli.evaluation.bootstrap import Interval
from mfcli.evaluation.group_intervals import PRODUCTS, products, rmse_interval
from mfcli.evaluation.tenths import TENTHS, Tenth, tenth_of
from mfcli.evaluation.uncertainty import GROUP_SUMS
from mfcli.storage import Section, Whole
from mfcli.types import Counts, Doubles, Rows

GROUPS = {
    "warm": "warm",
    "unseen_user": "unseen user",
    "unseen_item": "unseen item",
    "unseen_both": "unseen user and item",
}
"""Groups of ratings by whether the model has training ratings of their user and item: labels."""

_CALIBRATION = 20  # bins of the predicted ratings
_RESIDUALS = 60  # bins of rating minus prediction
_MOST_VALUES = 20  # distinct ratings that have a bin each
_FIRST_MONTH, _END_OF_MONTHS = -12 * 1969, 12 * 8030  # of the years 1 to 9999, from 1970
_MOST_ROWS = 1200  # rows of a list; timestamps that span more months are not in seconds
_MONTH = re.compile(r"\d{4}-\d{2}")


class GroupError(Section, omit_defaults=True):
    """The error on a group of ratings.

    Attributes
    ----------
    ratings : int
    rmse : float or None
        None if the group is empty.
    coverage, width, log_score : float or None
        Fraction of the ratings in their intervals, mean width of the intervals, and mean logarithm
        of the density at the ratings; None if the group is empty, or the model has no samples.
    """

    ratings: Whole
    rmse: float | None
    coverage: float | None = None
    width: float | None = None
    log_score: float | None = None


class ActivityError(Tenth):
    """The error on about a tenth of the ratings, by the activity of users or popularity of items.

    Attributes
    ----------
    low, high, ids : int
        As in `Tenth`.
    ratings : int
    rmse : float
    bias : float
        Mean of prediction minus rating.
    interval : tuple or None
        The ends of the confidence interval of `rmse`, over these users (or items); None if there
        are fewer than two, or an older mfcli wrote the file.
    """

    ratings: Whole
    rmse: float
    bias: float
    interval: Interval | None = None


class RatingError(Section):
    """The error on ratings of about the same value; `rating` and `prediction` are means.

    The `interval` of `rmse` is over these ratings, otherwise as in `ActivityError`.
    """

    rating: float
    ratings: Whole
    rmse: float
    prediction: float
    interval: Interval | None = None


class MonthError(Section):
    """The error in a calendar month, such as "2001-09"; `bias` as in `ActivityError`."""

    month: str
    ratings: Whole
    rmse: float
    bias: float

    def __post_init__(self) -> None:
        if not _MONTH.fullmatch(self.month):
            raise ValueError(f"month must be like 2001-09, got {self.month[:20]!r}")


class CalibrationPoint(Section):
    """Ratings that have about the same prediction; `prediction` and `rating` are means."""

    prediction: float
    ratings: Whole
    rating: float


class Residuals(Section):
    """Histogram of rating minus prediction: n + 1 `edges` of bins and n numbers of `ratings`."""

    edges: list[float]
    ratings: list[Whole]

    def __post_init__(self) -> None:
        if len(self.edges) != len(self.ratings) + 1:
            raise ValueError("residuals.edges must have one entry more than residuals.ratings")


class Breakdown(Section):
    """The errors of a model, by several properties of the ratings.

    Attributes
    ----------
    user_activity, item_popularity : list of ActivityError
        From few to many training ratings of the user (or item).
    rating : list of RatingError
    calibration : list of CalibrationPoint
    residuals : Residuals
    month : list of MonthError or None
        None if the ratings have no times in seconds.
    """

    user_activity: list[ActivityError]
    item_popularity: list[ActivityError]
    rating: list[RatingError]
    calibration: list[CalibrationPoint]
    residuals: Residuals
    month: list[MonthError] | None

    def __post_init__(self) -> None:
        lists: dict[str, Sized | None] = {
            "user_activity": self.user_activity,
            "item_popularity": self.item_popularity,
            "rating": self.rating,
            "calibration": self.calibration,
            "residuals.ratings": self.residuals.ratings,
            "month": self.month,
        }
        for name, rows in lists.items():
            if rows is not None and not 0 < len(rows) <= _MOST_ROWS:
                rule = f"breakdown.{name} must have 1 to {_MOST_ROWS} entries, got {len(rows)}"
                raise ValueError(rule)


class BreakdownSums:
    """Accumulates errors by item, group, rating, prediction, residual and month.

    Parameters
    ----------
    activity, popularity : int64 arrays, shapes (n_users,) and (n_items,)
        Training ratings of each user and of each item.
    scale : Scale
        Of the ratings.
    months : range
        The months of the ratings, counted from January 1970; empty for none.
    """

    def __init__(self, activity: Counts, popularity: Counts, scale: Scale, months: range) -> None:
        self._activity, self._popularity = activity, popularity
        self._items = BinnedSums(len(popularity), "squared", "error")
        self._groups = BinnedSums(len(GROUPS), "squared")
        self._uncertain = BinnedSums(len(GROUPS), *GROUP_SUMS)
        self._value_bins = _value_bins(scale)
        self._values = BinnedSums(
            self._value_bins.count, "squared", "fourth", "rating", "predicted"
        )
        self._predicted_bins = Bins(scale.min, scale.max, _CALIBRATION)
        self._predicted = BinnedSums(_CALIBRATION, "rating", "predicted")
        # On the scale, an error is at most its span; larger ones go to the outer bins.
        span = scale.max - scale.min
        self._residual_bins = Bins(-span, span, _RESIDUALS)
        self._residuals = BinnedSums(_RESIDUALS)
        # Bins begin with the first month of the ratings, not with 1970.
        self._first_month = months.start
        self._months = BinnedSums(len(months), "squared", "error")

    def add(
        self,
        user: Rows,
        item: Rows,
        rating: Doubles,
        predicted: Doubles,
        seconds: NDArray[np.int64] | None,
        uncertain: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        """Add ratings, with columns for `GROUP_SUMS` if there are any; arrays of shape (n,)."""
        error = predicted - rating
        squared = np.square(error)
        self._items.add(item, squared=squared, error=error)
        group = (self._activity[user] == 0) + 2 * (self._popularity[item] == 0)  # index in GROUPS
        self._groups.add(group, squared=squared)
        if uncertain:
            self._uncertain.add(group, **uncertain)
        pair = {"rating": rating, "predicted": predicted}
        powers = {"squared": squared, "fourth": np.square(squared)}
        self._values.add(self._value_bins.of(rating), **powers, **pair)
        self._predicted.add(self._predicted_bins.of(predicted), **pair)
        # A residual is rating minus prediction: the opposite of an error.
        self._residuals.add(self._residual_bins.of(-error))
        if seconds is not None and len(self._months.counts):
            month = month_of(seconds) - self._first_month
            self._months.add(month, squared=squared, error=error)

    @property
    def nbytes(self) -> int:
        """Bytes of memory that grow with the items."""
        return self._items.nbytes

    def merge(self, other: BreakdownSums) -> None:
        """Add the sums of another object that was made with the same arguments."""
        for name, sums in vars(self).items():
            # All other attributes were given to the constructor, and are the same in both.
            if isinstance(sums, BinnedSums):
                sums.merge(vars(other)[name])

    def breakdown(self, users: BinnedSums) -> Breakdown:
        """Return the breakdown.

        Parameters
        ----------
        users : BinnedSums
            By user, with columns `squared` and `error`.
        """
        return Breakdown(
            user_activity=_tenths(self._activity, users),
            item_popularity=_tenths(self._popularity, self._items),
            rating=self._by_value(),
            calibration=self._calibration(),
            residuals=Residuals(
                edges=self._residual_bins.edges().tolist(),
                ratings=self._residuals.counts.astype(int).tolist(),
            ),
            month=self._by_month() or None,
        )

    def groups(self) -> dict[str, GroupError]:
        """Return the error on each of `GROUPS`."""
        rmse = np.sqrt(self._groups.mean("squared"))
        parts = [rmse, *(self._uncertain.mean(name) for name in ("covered", "width", "density"))]
        return {
            name: GroupError(int(count), *map(_defined, row))
            for name, count, *row in zip(GROUPS, self._groups.counts, *parts, strict=True)
        }

    def _by_value(self) -> list[RatingError]:
        sums = self._values
        return [
            RatingError(
                rating=float(sums.mean("rating")[bin]),
                ratings=int(sums.counts[bin]),
                rmse=float(np.sqrt(sums.mean("squared")[bin])),
                prediction=float(sums.mean("predicted")[bin]),
                interval=_rating_interval(sums, int(bin)),
            )
            for bin in np.flatnonzero(sums.counts)
        ]

    def _calibration(self) -> list[CalibrationPoint]:
        sums = self._predicted
        return [
            CalibrationPoint(
                prediction=float(sums.mean("predicted")[bin]),
                ratings=int(sums.counts[bin]),
                rating=float(sums.mean("rating")[bin]),
            )
            for bin in np.flatnonzero(sums.counts)
        ]

    def _by_month(self) -> list[MonthError]:
        sums = self._months
        return [
            MonthError(
                month=str(np.datetime64(self._first_month + int(month), "M")),
                **_error(sums.counts[month], sums["squared"][month], sums["error"][month]),
            )
            for month in np.flatnonzero(sums.counts)
        ]


def _defined(mean: float) -> float | None:
    """Return a mean; None for NaN, the mean over no ratings."""
    return None if np.isnan(mean) else float(mean)


def month_of(seconds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Convert seconds since January 1970 to months since then."""
    dates = seconds.astype("datetime64[s]").astype("datetime64[M]")
    months: NDArray[np.int64] = dates.astype(np.int64)
    return months


def months_of(seconds: NDArray[np.int64] | None) -> range:
    """Return the months that timestamps span; empty if they are missing or not in seconds.

    Timestamps in other units span too many months, or have years of five digits.
    """
    if seconds is None or not len(seconds):
        return range(0)
    # The ends are enough: months ascend with the seconds.
    ends = np.array([(piece.min(), piece.max()) for piece in pieces_of(seconds)])
    first, last = month_of(np.array([ends.min(), ends.max()])).tolist()
    is_plausible = last - first < _MOST_ROWS and first >= _FIRST_MONTH and last < _END_OF_MONTHS
    return range(first, last + 1) if is_plausible else range(0)


def _value_bins(scale: Scale) -> Bins:
    """Make a bin for each value of the scale if it has few values, else ten bins."""
    if scale.step:
        steps = round((scale.max - scale.min) / scale.step)
        if steps < _MOST_VALUES:
            # Each value is in the middle of its bin, so that rounding cannot put it into the next
            # one.
            half = scale.step / 2
            return Bins(scale.min - half, scale.max + half, steps + 1)
    return Bins(scale.min, scale.max, TENTHS)


def _tenths(amount: Counts, sums: BinnedSums) -> list[ActivityError]:
    """Divide ratings into tenths by the number of training ratings of their user or item.

    Ids with the same number of training ratings stay together, so there may be fewer than ten parts
    and some may be larger.

    Parameters
    ----------
    amount : int64 array, shape (n_ids,)
        Training ratings of each id.
    sums : BinnedSums
        By id, with columns `squared` and `error`.
    """
    # Ids without measured ratings belong to no tenth, and would leave some of them empty.
    present = sums.counts > 0
    # np.unique sorts ids, not ratings.
    values, place = np.unique(amount[present], return_inverse=True)
    by_value = BinnedSums(len(values), "ratings", "squared", "error", *PRODUCTS)
    columns = {name: sums[name][present] for name in ("squared", "error")}
    present_ratings = sums.counts[present]
    by_value.add(
        place, **columns, ratings=present_ratings, **products(present_ratings, columns["squared"])
    )
    tenth = tenth_of(by_value["ratings"])
    return [_tenth(values, by_value, np.flatnonzero(tenth == part)) for part in np.unique(tenth)]


def _tenth(values: Counts, by_value: BinnedSums, part: NDArray[Any]) -> ActivityError:
    sums = (float(by_value[name][part].sum()) for name in ("ratings", "squared", "error"))
    ids = int(by_value.counts[part].sum())
    crossed = (float(by_value[name][part].sum()) for name in PRODUCTS)
    ratings, squared, error = sums
    return ActivityError(
        low=int(values[part[0]]),
        high=int(values[part[-1]]),
        ids=ids,
        interval=rmse_interval(ids, ratings, squared, *crossed),
        **_error(ratings, squared, error),
    )


def _error(ratings: float, squared: float, error: float) -> dict[str, Any]:
    """Compute the fields that several sections share from sums over ratings."""
    return {
        "ratings": int(ratings),
        "rmse": float(np.sqrt(squared / ratings)),
        "bias": float(error / ratings),
    }


def _rating_interval(sums: BinnedSums, bin: int) -> Interval | None:
    """Return the interval of the RMSE of a bin, over its ratings."""
    n, squared, fourth = (float(a[bin]) for a in (sums.counts, sums["squared"], sums["fourth"]))
    # Each rating is a group of one: r = 1, so sum s r = sum s, and sum r r = n.
    return rmse_interval(int(n), n, squared, fourth, squared, n)

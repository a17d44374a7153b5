"""Facts about the values of ratings: scale, spread, and values that look wrong."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mfcli.checks.distinct_values import distinct_values
from mfcli.data import scale_of
from mfcli.types import Counts, Doubles, Floats, Mask

_BINS = 20
_RARE = 1000  # one rating of this many is rare
_FAR = 10  # interquartile ranges
_LEAST = 100  # with fewer ratings, none is called far from the others
_TAIL = 10  # times the median, which the largest of several counts exceeds
_LEAST_COUNTS = 10  # distinct values


@dataclass(frozen=True)
class ValueBin:
    """The ratings from `low` to below `high`; the last bin of a histogram includes `high`.

    If `low` and `high` are equal, the ratings of this value.
    """

    low: float
    high: float
    count: int


@dataclass(frozen=True)
class RatingValues:
    """The values of the ratings.

    Attributes
    ----------
    min, max : float
    step : float or None
        None if there are very many values, or if their distances are uneven.
    distinct : int
        Number of distinct values.
    mean, standard_deviation : float
    median : float
    whole : bool
        Whether all values are whole numbers.
    counts : bool
        Whether the values look like numbers of events: whole, not negative, and with a long tail.
    histogram : list of ValueBin
        The distinct values if there are at most 21, otherwise 20 bins of equal width. For implicit
        feedback, at most 20 bins of which each is wider than the one before by the same factor.
    most : ValueBin
        The most frequent value.
    far : list of ValueBin
        Values far from all others.
    not_rated : int
        Ratings of zero, if zero seems to mean "not rated".
    negative : int
        Ratings below zero, unless the scale reaches about as far above zero.
    """

    min: float
    max: float
    step: float | None
    distinct: int
    mean: float
    standard_deviation: float
    median: float
    whole: bool
    counts: bool
    histogram: list[ValueBin]
    most: ValueBin
    far: list[ValueBin]
    not_rated: int
    negative: int


def values_of(columns: Iterable[Floats], total: int, *, implicit: bool) -> RatingValues:
    """Return the facts about the values of ratings.

    Parameters
    ----------
    columns : iterable of float32 array
        The values.
    total : int
        Their number, at least one.
    implicit : bool
        Whether they are strengths of events.
    """
    values, counts = distinct_values(columns, total)
    # The distinct values have the same scale; as float32, they are the ratings themselves.
    scale, most = scale_of([values.astype(np.float32)]), int(counts.argmax())
    # From the distinct values, which are few, in float64.
    mean = float((counts * values).sum()) / total
    variance = float((counts * np.square(values - mean)).sum()) / total
    far = _far(values, counts) if total >= _LEAST else np.zeros(len(values), np.bool_)
    return RatingValues(
        min=_plain(scale.min),
        max=_plain(scale.max),
        step=scale.step,
        distinct=len(values),
        mean=mean,
        standard_deviation=variance**0.5,
        median=_plain(_quantile(values, counts, 0.5)),
        whole=bool((values == np.floor(values)).all()),
        counts=_are_counts(values, counts),
        histogram=_histogram(values, counts, implicit),
        most=_bins(values[most : most + 1], counts[most : most + 1])[0],
        far=_bins(values[far], counts[far]),
        not_rated=_not_rated(values, counts),
        negative=_negative(values, counts),
    )


def _plain(value: float) -> float:
    """Return a float32 value as it is written: 0.1, not 0.10000000149."""
    return float(str(np.float32(value)))


def _bins(values: Doubles, counts: Counts) -> list[ValueBin]:
    plain = map(_plain, values.tolist())
    return [ValueBin(value, value, n) for value, n in zip(plain, counts.tolist(), strict=True)]


def _quantile(values: Doubles, counts: Counts, share: float) -> float:
    ends = np.cumsum(counts)
    return float(values[np.searchsorted(ends, share * ends[-1])])


def _are_counts(values: Doubles, counts: Counts) -> bool:
    values, counts = values[values != 0], counts[values != 0]  # no event is no part of the tail
    if len(values) < _LEAST_COUNTS or values[0] < 0 or (values != np.floor(values)).any():
        return False
    median, most = _quantile(values, counts, 0.5), float(values[-1])
    # A few wrong ratings are no tail, but one value of a hundred is.
    return most >= _TAIL * median and _quantile(values, counts, 0.99) >= 2 * median


def _histogram(values: Doubles, counts: Counts, implicit: bool) -> list[ValueBin]:
    if len(values) <= _BINS + 1:
        return _bins(values, counts)
    bins = _powers(values[0], values[-1]) if implicit else _BINS
    binned, edges = np.histogram(values, bins, weights=counts)
    ends = [_plain(edge) for edge in edges.tolist()]
    return [ValueBin(*bin) for bin in zip(ends, ends[1:], binned.tolist(), strict=False)]


def _powers(low: float, high: float) -> Doubles:
    """Return powers of two, or of a power of two, that enclose positive values in few bins."""
    first, last = np.floor(np.log2([low, high]))
    step = np.ceil((last + 1 - first) / _BINS)
    powers: Doubles = np.exp2(np.arange(first, last + 1 + step, step))
    return powers


def _far(values: Doubles, counts: Counts) -> Mask:
    """Mark the values that are far from all others.

    Candidates at either end are the outermost values that together have at most one rating of 1,000
    (at least one rating), and the outermost value whatever its frequency, since marks such as 99
    are frequent. A candidate is far if it is beyond a gap that is wider than the range of the
    values on the other side of the gap. Rare candidates are also far if they are more than ten
    interquartile ranges away from the quartiles.

    Parameters
    ----------
    values : float64 array, shape (n,)
        Distinct and ascending.
    counts : int64 array, shape (n,)
    """
    low, high = _rare(counts), _rare(counts[::-1])
    rest = values[low : len(values) - high]
    if len(rest) < 2:
        return np.zeros(len(values), np.bool_)
    above = _beyond(values - rest[0], high)
    # The same from the other end: mirror the values, and mirror the mask back.
    below = _beyond((rest[-1] - values)[::-1], low)[::-1]
    away = _away(values, counts)
    away[low : len(values) - high] = False
    return above | below | away


def _rare(counts: Counts) -> int:
    """Return how many of the first values together have at most one rating of 1,000."""
    most = max(int(counts.sum()) // _RARE, 1)
    return int(np.searchsorted(np.cumsum(counts), most, side="right"))


def _beyond(distance: Doubles, rare: int) -> Mask:
    """Mark the last values that are beyond a gap wider than the range before the gap.

    Parameters
    ----------
    distance : float64 array, shape (n,)
        From the other end of the usual values, ascending; negative for values beyond that end.
    rare : int
        Number of values at the end that are candidates. If it is 0, the last value is the
        candidate, provided that there are three usual values before it.
    """
    far = np.zeros(len(distance), np.bool_)
    start = len(distance) - max(rare, 1)
    if np.count_nonzero(distance[:start] >= 0) >= (2 if rare else 3):
        # `distance` before a gap is the range of the values on its other side.
        far[start:] = np.diff(distance[start - 1 :]) > distance[start - 1 : -1]
    # All values beyond a far one are far.
    return np.logical_or.accumulate(far)


def _away(values: Doubles, counts: Counts) -> Mask:
    """Mark values more than ten interquartile ranges away from the quartiles."""
    q1, q3 = (_quantile(values, counts, share) for share in (0.25, 0.75))
    reach = _FAR * (q3 - q1)
    away: Mask = (reach > 0) & ((values < q1 - reach) | (values > q3 + reach))
    return away


def _not_rated(values: Doubles, counts: Counts) -> int:
    """Count the zeros if they are apart from the scale, or twice as frequent as any rating."""
    if len(values) < 3 or values[0] != 0:
        return 0
    gaps = np.diff(values)
    # 0, 1, 2, 3 is a scale; in 0, 10, 11, 12 the zero is apart from it.
    apart = gaps[0] > gaps[1:].max()
    return int(counts[0]) if apart or counts[0] > 2 * counts[1:].max() else 0


def _negative(values: Doubles, counts: Counts) -> int:
    """Count the ratings below zero, unless the scale is about as wide on both sides of zero."""
    # A scale such as -10 to 10 is symmetric; its negative ratings are ordinary.
    if values[0] >= 0 or abs(values[0] + values[-1]) <= values[-1] / 10:
        return 0
    return int(counts[values < 0].sum())

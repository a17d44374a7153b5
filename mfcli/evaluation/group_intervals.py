"""Confidence intervals of measures of groups of users, items or ratings, from sums.

The ratings of a user (or an item) are correlated, so the variance is over the n users of a group.
With r_j ratings of user j and the sum s_j of their squared errors, the mean squared error is a
ratio, and the delta method gives its variance (W. G. Cochran, "Sampling Techniques", 3rd edition,
1977, section 6.4)::

    m = sum s_j / sum r_j        var m = n / (n - 1) * sum (s_j - m r_j)^2 / (sum r_j)^2
"""

from __future__ import annotations

import math
from statistics import NormalDist

from mfcli.evaluation.bootstrap import LEVEL, Interval
from mfcli.types import Doubles

PRODUCTS = ("squared_squared", "squared_ratings", "ratings_ratings")
"""Names of the columns of `products`."""

_DEVIATIONS = NormalDist().inv_cdf((1 + LEVEL) / 2)  # half the width of an interval


def products(ratings: Doubles, squared: Doubles) -> dict[str, Doubles]:
    """Return the products of the sums of each user (or item) that `rmse_interval` needs.

    Parameters
    ----------
    ratings, squared : float64 arrays, shape (n,)
        Number of ratings, and sum of their squared errors.
    """
    columns = (squared * squared, squared * ratings, ratings * ratings)
    return dict(zip(PRODUCTS, columns, strict=True))


def rmse_interval(
    n: int, ratings: float, squared: float, ss: float, sr: float, rr: float
) -> Interval | None:
    """Return the ends of the interval of an RMSE; None if there are fewer than two users.

    The arguments are those of `ratio_interval`, with squared errors as parts.
    """
    ends = ratio_interval(n, ratings, squared, ss, sr, rr)
    return ends and (math.sqrt(max(ends[0], 0.0)), math.sqrt(ends[1]))


def ratio_interval(
    n: int, whole: float, part: float, pp: float, pw: float, ww: float
) -> Interval | None:
    """Return the ends of the interval of ``part / whole``; None if there are fewer than two users.

    Parameters
    ----------
    n : int
        Number of users (or items, or ratings, each of which is its own group then).
    whole, part : float
        Sums over them.
    pp, pw, ww : float
        Sums of the products of their parts and wholes.
    """
    if n < 2:
        return None
    mean = part / whole
    # sum (s - m r)^2; rounding may make it negative
    spread = max(pp - 2 * mean * pw + mean * mean * ww, 0.0)
    half = _DEVIATIONS * math.sqrt(n / (n - 1) * spread) / whole
    return mean - half, mean + half

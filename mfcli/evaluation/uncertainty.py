"""How well predicted distributions of ratings describe ratings.

With the mean m and the variance v that are predicted for a rating r, over n ratings:

    log score = sum log density / n        log density = -(log(2 pi v) + (r - m)^2 / v) / 2

(T. Gneiting and A. E. Raftery, "Strictly proper scoring rules, prediction, and estimation", JASA
102(477), 2007, section 4.1). It is compared with normal distributions around the same means that
have one variance for all ratings. Of these, the highest log score has the mean squared error on
the evaluated ratings, so a gain is not that of a better variance for training ratings:

    MSE = sum (r - m)^2 / n        log score of constant variance = -(log(2 pi MSE) + 1) / 2

All of them are functions of sums over users, as rating errors are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mfcli.types import Doubles

if TYPE_CHECKING:
    from mfcli.model import RatingDistribution

INTERVAL_LEVEL = 0.9
"""Probability with which a rating is in its interval."""

USER_SUMS = ("covered", "density", "deviation")
"""The columns of `distribution_columns` that are summed by user."""

GROUP_SUMS = ("covered", "density", "width")
"""Those that are summed by group."""

_RANGE = np.finfo(np.float32).tiny, np.finfo(np.float32).max


def distribution_columns(
    found: RatingDistribution, rating: Doubles, *, clip: bool
) -> dict[str, NDArray[Any]]:
    """Return what is summed over ratings, arrays of shape (n,).

    Parameters
    ----------
    found : RatingDistribution
    rating : float64 array, shape (n,)
    clip : bool
        Clip the ends of intervals to the rating scale.

    Returns
    -------
    dict
        `covered` (whether a rating is in its interval), `width` (of the interval), `density`
        (logarithm of the density at the rating) and `deviation` (squared, from the mean).
    """
    low, high = found.interval(INTERVAL_LEVEL, clip=clip)
    # Ratings of extreme scales may have a variance that float32 cannot hold.
    variance = np.clip(found.posterior + found.noise, *_RANGE).astype(np.float64)
    deviation = np.square(rating - found.mean)
    return {
        "covered": (low <= rating) & (rating <= high),
        "width": high - low,
        "density": -(np.log(2 * np.pi * variance) + deviation / variance) / 2,
        "deviation": deviation,
    }


def _constant(sums: Mapping[str, Doubles]) -> Doubles:
    """Return the log score of constant variance."""
    return -(np.log(2 * np.pi * sums["deviation"] / sums["ratings"]) + 1) / 2


UNCERTAINTY_FORMULAS: dict[str, Callable[[Mapping[str, Doubles]], Doubles]] = {
    "log_score": lambda sums: sums["density"] / sums["ratings"],
    "log_score_gain": lambda sums: sums["density"] / sums["ratings"] - _constant(sums),
    "interval_coverage": lambda sums: sums["covered"] / sums["ratings"],
}
"""The formula of each measure of uncertainty in the table of measures."""

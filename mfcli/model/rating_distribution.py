"""Normal distributions of ratings: intervals and probabilities."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numba import types

from mfcli.arguments import check_probability
from mfcli.data import Scale
from mfcli.storage import array_type, kernel
from mfcli.types import Doubles, Floats

_ROUNDING = 1e-6  # error of the values, as a fraction of the scale


@dataclass(frozen=True)
class RatingDistribution:
    """The normal distributions of the ratings of n pairs.

    Attributes
    ----------
    mean : float32 array, shape (n,)
        The predictions, not clipped.
    posterior : float32 array, shape (n,)
        Variance of the predictions: what ratings for training do not determine.
    noise : float32 array, shape (n,)
        Variance of a rating of the user around its prediction.
    scale : Scale
        Of the ratings.
    values, thresholds : arrays, shape (m,)
        As in `Samples`; empty if ratings are not rounded.
    """

    mean: Floats
    posterior: Floats
    noise: Floats
    scale: Scale
    values: Floats
    thresholds: Doubles

    def __len__(self) -> int:
        return len(self.mean)

    @property
    def sd(self) -> Floats:
        """Standard deviation of the ratings, float32 of shape (n,)."""
        deviation: Floats = np.sqrt(self.posterior + self.noise)
        return deviation

    def quantile(self, level: float) -> Floats:
        """Return the value below which a rating is with this probability, float32 of shape (n,).

        It is not clipped.

        Raises
        ------
        UsageError
            If the level is not above 0 and below 1.
        """
        check_probability(level, "level")
        return self.mean + np.float32(NormalDist().inv_cdf(level)) * self.sd

    def interval(self, coverage: float = 0.9, *, clip: bool = True) -> tuple[Floats, Floats]:
        """Return the central intervals that contain the ratings with this probability.

        Parameters
        ----------
        coverage : float
        clip : bool
            Clip both ends to the rating scale.

        Returns
        -------
        low, high : float32 arrays, shape (n,)

        Raises
        ------
        UsageError
            If the coverage is not above 0 and below 1.
        """
        low, high = self._central(coverage, self.sd)
        if clip:
            low, high = (end.clip(self.scale.min, self.scale.max) for end in (low, high))
        return low, high

    def expected(self, coverage: float = 0.9) -> tuple[Floats, Floats]:
        """Return the intervals that contain the expected ratings with this probability.

        They are those of the predictions, without the noise of single ratings, and not clipped.

        Returns
        -------
        low, high : float32 arrays, shape (n,)

        Raises
        ------
        UsageError
            If the coverage is not above 0 and below 1.
        """
        return self._central(coverage, np.sqrt(self.posterior))

    def _central(self, coverage: float, sd: Floats) -> tuple[Floats, Floats]:
        check_probability(coverage, "coverage")
        width = np.float32(NormalDist().inv_cdf((1 + coverage) / 2)) * sd
        return self.mean - width, self.mean + width

    def cdf(self, values: Floats | float) -> Doubles:
        """Return the probability that the normal variate is below a value.

        Parameters
        ----------
        values : float, or float array of shape (n,)

        Returns
        -------
        float64 array, shape (n,)
        """
        deviations = (values - self.mean.astype(np.float64)) / self.sd
        chances = np.empty(len(self))
        normal_cdf(deviations, chances)
        return chances

    def at_least(self, rating: float) -> Doubles:
        """Return the probability of a rating of this value or more, float64 of shape (n,).

        A normal variate stands for the rating. Thresholds divide its values among the ratings, and
        the lowest and the highest rating stand for all values beyond them.
        """
        low, high, _ = self.scale
        if rating <= low or rating > high:
            return np.full(len(self), float(rating <= low))
        place = np.searchsorted(self.values, rating - _ROUNDING * (high - low))
        return 1 - self.cdf(self.thresholds[place] if place < len(self.values) else rating)


@kernel(array_type(types.float64, 1), array_type(types.float64, 1))
def normal_cdf(deviations: Any, out: Any) -> None:
    """Set `out` to the standard normal distribution function."""
    for n in range(len(deviations)):
        out[n] = 0.5 * math.erfc(-deviations[n] * math.sqrt(0.5))

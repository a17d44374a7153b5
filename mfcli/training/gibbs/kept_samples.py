"""Some of the averaged samples, which the model keeps.

A user without ratings may be any of the users, and an item any of the items: the covariance of such
a row is that of all rows, and its noise is their mean noise, weighted by the square roots of their
numbers of ratings. With equal weights, intervals for new items would be too narrow, because most
items are rated by few users, so that their rows are close to the mean of their prior.
"""

from __future__ import annotations

import dataclasses
from statistics import NormalDist
from typing import Any

import numpy as np

from mfcli.model import Model, Samples
from mfcli.training.engine import State
from mfcli.training.gibbs.running_mean import Centered
from mfcli.training.normal_equations.products import gram
from mfcli.training.normal_equations.rated_rows import RatedRows
from mfcli.training.normal_equations.ratings_by_row import BothSides
from mfcli.types import Doubles, Floats, Mask

_LARGE = ("users", "items", "noise")
_SMALL = ("mu", "user_covariance", "item_covariance", "unknown_noise")
_NO_THRESHOLDS: dict[str, Any] = {"values": np.empty(0, np.float32), "thresholds": np.empty(0)}


class KeptSamples:
    """Samples that are evenly spaced over the averaged epochs, in rating units.

    Parameters
    ----------
    start : Model
        Its ids and settings are those of the samples.
    ratings : BothSides
    """

    def __init__(self, start: Model, ratings: BothSides) -> None:
        config = start.config
        self._ratings, self._averaged = ratings, config.averaged_epochs
        self._seed, self._count = config.seed, np.zeros(1, np.int64)
        size, d = min(config.keep_samples, self._averaged), 1 + config.k
        # The bias has the unit of the ratings, and so has a product of factors.
        self._units = np.append(ratings.unit, np.full(config.k, ratings.unit**0.5))
        users, items = len(start.users), len(start.items)
        self._samples = Samples(
            start.users.ids,
            start.items.ids,
            mu=np.zeros(size),
            users=np.zeros((users, d, size), np.float32),
            items=np.zeros((items, d, size), np.float32),
            noise=np.zeros((users, size), np.float32),
            user_covariance=np.zeros((size, d, d)),
            item_covariance=np.zeros((size, d, d)),
            unknown_noise=np.zeros(size),
            **(_thresholds(ratings, start.mu) if size else _NO_THRESHOLDS),
        )

    def __len__(self) -> int:
        return len(self._samples)

    def is_due(self, epoch: int) -> bool:
        """Return whether an averaged epoch, counted from 1, gives a sample to keep.

        The last one does.
        """
        before, after = (n * len(self) // max(self._averaged, 1) for n in (epoch - 1, epoch))
        return after > before

    def add(self, sample: Centered, noise: Doubles) -> None:
        """Keep a sample, in place of the oldest one if there are enough.

        Parameters
        ----------
        sample : Centered
        noise : float64 array, shape (n_users,)
            Variance of each user's noise.
        """
        at, kept, units = int(self._count[0]) % len(self), self._samples, self._units
        users, items, d = self._ratings.users, self._ratings.items, len(units)
        scale, squares = units.astype(np.float32), np.outer(units, units)
        kept.mu[at] = sample.mu * units[0]
        np.multiply(sample.users[:, :d], scale, out=kept.users[:, :, at])
        np.multiply(sample.items[:, :d], scale, out=kept.items[:, :, at])
        kept.user_covariance[at] = squares * _covariance(users, sample.users)[:d, :d]
        kept.item_covariance[at] = squares * _covariance(items, sample.items)[:d, :d]
        unknown = float((_weights(users) * noise).sum())
        kept.unknown_noise[at] = squares[0, 0] * unknown
        kept.noise[:, at] = squares[0, 0] * np.where(users.rated, noise, unknown)
        self._count += 1

    def start_new(self, users: Mask, items: Mask) -> None:
        """Draw rows that had no ratings before, in all samples, as those of unknown rows.

        Their intervals are wide until newer samples replace these.
        """
        kept, rng = self._samples, np.random.default_rng([self._seed, 3])
        sides = (
            (users, self._ratings.users, kept.users, kept.user_covariance),
            (items, self._ratings.items, kept.items, kept.item_covariance),
        )
        for is_new, ratings, rows, covariances in sides:
            new = np.flatnonzero(is_new & ratings.rated)
            for s, covariance in enumerate(covariances):
                zero = np.zeros(len(covariance))
                rows[new, :, s] = rng.multivariate_normal(zero, covariance, len(new))
        kept.noise[users] = kept.unknown_noise

    def samples(self) -> Samples | None:
        """Return the samples, not copied; None if there are none."""
        count, kept = min(int(self._count[0]), len(self)), self._samples
        if not count:
            return None
        large = {name: getattr(kept, name)[..., :count] for name in _LARGE}
        small = {name: getattr(kept, name)[:count] for name in _SMALL}
        return dataclasses.replace(kept, **large, **small)

    def state(self) -> State:
        """Return all arrays, by name; not copied."""
        if not len(self):
            return {}
        arrays = {f"kept.{name}": getattr(self._samples, name) for name in _LARGE + _SMALL}
        return arrays | {"kept.count": self._count}


def _covariance(ratings: RatedRows, rows: Floats) -> Doubles:
    """Return the covariance of centered rows, shape (width, width)."""
    roots = np.sqrt(_weights(ratings)).astype(np.float32)
    return gram(roots[:, None] * rows, ratings.threads)


def _weights(ratings: RatedRows) -> Doubles:
    """Return the weight of each row in the distribution of unknown ones."""
    roots = np.sqrt(ratings.counts)
    weights: Doubles = roots / roots.sum()
    return weights


def _thresholds(ratings: BothSides, mean: float) -> dict[str, Any]:
    """Return the distinct ratings and their thresholds, for `Samples`.

    Some ratings are more frequent than others: most people give few half stars. The threshold of a
    rating is the quantile of the normal distribution with the mean and the variance of all ratings
    at the fraction of lower ones. On MovieLens ratings, 49% of the ratings with a probability of
    0.5 to be at least 4 then are; with thresholds halfway between the ratings, 61%.
    """
    if ratings.values is None:
        return _NO_THRESHOLDS
    values, counts = ratings.values
    # With half a rating on each side, fractions are above 0 and below 1.
    fractions = (np.cumsum(counts) - counts + 0.5) / (counts.sum() + 1)
    # The unit is the standard deviation.
    quantiles = list(map(NormalDist(mean, ratings.unit).inv_cdf, fractions.tolist()))
    unit = np.float32(ratings.unit)
    return {"values": values * unit, "thresholds": np.array(quantiles)}

"""Samples from the posterior: not the best weights, but the mean prediction over all likely ones.

Each epoch draws the users' rows given the items', then the items' given the users'. The model has
Gaussian noise and Gaussian priors, whose parameters are drawn as well (R. Salakhutdinov and A.
Mnih, "Bayesian probabilistic matrix factorization using Markov chain Monte Carlo", ICML 2008).
There is no learning rate, momentum or penalty to choose. All computations are in units of the
standard deviation of the ratings, so that their scale does not matter.

The mean of the predictions of n samples is a biased matrix factorization with n k factors. After
every epoch it is reduced to 2 k factors with the singular value decomposition, and the model is its
best approximation with k. On real ratings this increases the RMSE by a few ten-thousandths.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from mfcli.data import Ratings
from mfcli.model import Model
from mfcli.training.engine import Losses, State, copy_state, held_out_mse
from mfcli.training.gibbs.kernels import draw_rows, square_errors
from mfcli.training.gibbs.low_rank import truncated
from mfcli.training.gibbs.noise import UserNoise
from mfcli.training.gibbs.priors import Effects, draw_prior
from mfcli.training.gibbs.products import multiplied
from mfcli.training.gibbs.sides import BothSides
from mfcli.types import Doubles, Progress

_KEPT = 2  # times k: factors of the running mean, some of which may matter later
_SPREAD = 4.0  # times the usual initial weights, from which the first priors would be too narrow
_SIDES = ("users", "items")


class Sample(NamedTuple):
    """The rows of both sides, each ``(b, p)``: a bias and factors.

    Attributes
    ----------
    users, items : float64 arrays, shapes (n_users, k + 1) and (n_items, k + 1)
    """

    users: Doubles
    items: Doubles


class GibbsEngine:
    """Draws samples from the posterior and averages those of the later epochs.

    Parameters
    ----------
    start : Model
        Its weights are the start of the chain.
    ratings : BothSides
        The training ratings.
    held_out : Ratings
        To validate on.
    """

    def __init__(self, start: Model, ratings: BothSides, held_out: Ratings) -> None:
        config, d = start.config, start.k + 1
        self._start, self._held_out = start, held_out
        self._users, self._items, self._unit = ratings
        self._threads, self._total = self._users.threads, int(self._users.counts.sum())
        self._center = start.mu / self._unit
        # Row (b, p); in float64, because precisions may be badly conditioned.
        self._sample = Sample(
            _SPREAD * np.column_stack([start.user_biases, start.user_factors]).astype(np.float64),
            _SPREAD * np.column_stack([start.item_biases, start.item_factors]).astype(np.float64),
        )
        self._noise = UserNoise(self._users.counts, per_user=config.noise == "user")
        self._effects = (
            (Effects(self._users, self._items, d), Effects(self._items, self._users, d))
            if config.prior == "implicit"
            else ()
        )
        self._item_mean = np.zeros(d)  # of the prior
        # Biases and 2 k factors of the mean so far; rows of zeros before the first sample.
        self._mean = Sample(*(np.zeros((len(rows), 1 + _KEPT * start.k)) for rows in self._sample))
        self._mu, self._count = np.zeros(1), np.zeros(1)  # of the mean: its mu, its samples

    def run_epoch(self, epoch: int, on_progress: Progress) -> Losses:
        # Each epoch has its own generator, so that a resumed chain draws the same numbers. The 1
        # keeps it apart from the generator of the initial weights, which has a 0.
        rng = np.random.default_rng([self._start.config.seed, 1, epoch])
        # The precision a w_u of a rating belongs to its user: it is alpha when users are drawn, and
        # root^2 when items are drawn.
        user_precisions = self._noise.precision * self._noise.weights
        ones = np.ones(len(self._items.counts))
        self._draw(0, user_precisions, ones, rng)
        on_progress(self._total // 2, self._total)
        self._item_mean[:] = self._draw(1, ones, np.sqrt(user_precisions), rng)
        # The noise is drawn last, given both sides, and the next epoch uses it.
        squares = self._square_errors()
        self._noise.draw(squares, rng)
        config = self._start.config
        if config.averaged and epoch >= config.first_averaged:
            self._add_to_mean()
        on_progress(self._total, self._total)
        # Back from units of the standard deviation to rating units.
        mse = float(squares.sum()) * self._unit**2 / self._total
        return Losses(mse, mse)

    def validate(self) -> Losses:
        mse = held_out_mse(self.model(), self._held_out)
        return Losses(mse, mse)

    def model(self) -> Model:
        """Return the mean of the samples, or the last sample if none is averaged yet."""
        k = self._start.k
        mu, rows = (float(self._mu[0]), self._mean) if self._count[0] else self._centered()
        units = np.full(k + 1, math.sqrt(self._unit))  # of a factor: a product has the unit
        units[0] = self._unit
        users, items = ((side[:, : k + 1] * units).astype(np.float32) for side in rows)
        return replace(self._start, mu=mu * self._unit).with_tables(
            {
                "user_factors": np.ascontiguousarray(users[:, 1:]),
                "item_factors": np.ascontiguousarray(items[:, 1:]),
                "user_biases": users[:, 0].copy(),
                "item_biases": items[:, 0].copy(),
            }
        )

    def state(self) -> State:
        samples = {"sample": self._sample, "mean": self._mean}
        rows = {
            f"{name}.{side}": getattr(s, side) for name, s in samples.items() for side in _SIDES
        }
        effects = {
            f"{name}.{side}": array
            for side, drawn in zip(_SIDES, self._effects, strict=False)
            for name, array in drawn.state().items()
        }
        means = {"item_mean": self._item_mean, "mu": self._mu, "count": self._count}
        return rows | effects | self._noise.state() | means

    def restore(self, state: State) -> None:
        copy_state(state, self.state())

    def _draw(
        self, side: int, alphas: Doubles, roots: Doubles, rng: np.random.Generator
    ) -> Doubles:
        """Draw the prior of one side, then its rows; the noise has precision ``alpha root^2``.

        Returns
        -------
        float64 array, shape (k + 1,)
            Prior mean of a row without ratings.
        """
        ratings = (self._users, self._items)[side]
        mine, theirs = self._sample[side], self._sample[1 - side]
        effects = self._effects[side] if self._effects else None
        sums = effects.sums if effects else np.zeros_like(mine)
        # Rows without ratings are never drawn, so they tell nothing about the prior.
        precision, mean = draw_prior((mine - sums)[ratings.rated], rng, self._threads)
        if effects:
            effects.draw(mine - mean, precision, rng)
        # L m_u for every row: L is symmetric, so a product from the right is the same.
        shifts = multiplied(mean + sums, precision, self._threads)
        # Drawn here for all rows: draws inside the tasks would depend on how rows are divided.
        normals = rng.standard_normal(mine.shape)
        ratings.each(
            lambda first, last: draw_rows(
                first, last, *ratings.arrays, self._center, mine, theirs,
                roots, alphas, precision, shifts, normals,
            )
        )  # fmt: skip
        return mean

    def _square_errors(self) -> Doubles:
        """Return the sum of the squared errors of each user."""
        ratings, sums = self._users, np.empty(len(self._users.counts))
        ratings.each(
            lambda first, last: square_errors(
                first, last, *ratings.arrays, self._center, *self._sample, sums
            )
        )
        return sums

    def _centered(self) -> tuple[float, Sample]:
        """Return mu and rows that give the same predictions, where rows without ratings are zero.

        A row n of the users and a row m of the items are subtracted from all rows::

            p.q = n.m + (p - n).m + n.(q - m) + (p - n).(q - m)

        A row of zeros is then predicted like n or m. Nothing is known about a user without ratings,
        so n is the mean of the users. An item without ratings is one that few users rate, so m is
        the mean of the prior of the items without any effect of the users who rate it.
        """
        (user, item), m = self._sample, self._item_mean
        # n.m goes to mu, (p - n).m to the bias of the user, n.(q - m) to that of the item.
        n = user[self._users.rated].mean(axis=0)
        p, q = user[:, 1:] - n[1:], item[:, 1:] - m[1:]
        user_biases, item_biases = user[:, 0] - n[0] + p @ m[1:], item[:, 0] - m[0] + q @ n[1:]
        mu = self._center + float(n[0] + m[0] + n[1:] @ m[1:])
        # Zero the rows without ratings.
        users = np.column_stack([user_biases, p]) * self._users.rated[:, None]
        items = np.column_stack([item_biases, q]) * self._items.rated[:, None]
        return mu, Sample(users, items)

    def _add_to_mean(self) -> None:
        """Add the current sample to the mean: the n-th sample has the weight 1/n.

        Factors of the mean are multiplied by ``sqrt(1 - 1/n)`` and those of the sample by
        ``sqrt(1/n)``, both for users and items, which gives products the weights ``1 - 1/n`` and
        ``1/n``.
        """
        self._count += 1
        weight, old = 1 / self._count[0], self._mean
        mu, new = self._centered()
        # mean += (new - mean) / n, which does not grow as a sum would
        self._mu += weight * (mu - self._mu)
        for rows, sample in zip(old, new, strict=True):
            rows[:, 0] += weight * (sample[:, 0] - rows[:, 0])
        wide = [
            np.hstack([rows[:, 1:] * np.sqrt(1 - weight), sample[:, 1:] * np.sqrt(weight)])
            for rows, sample in zip(old, new, strict=True)
        ]
        # [p, p'] [q, q']^T is the new mean of the products, of rank 3 k; keep the best 2 k.
        kept = truncated(wide[0], wide[1], old.users.shape[1] - 1, self._threads)
        for rows, factors in zip(old, kept, strict=True):
            rows[:, 1:] = factors

"""Sampling from the posterior: not the best weights, but the mean over all likely ones.

Each epoch draws the users' rows given the items', then the items' given the users', from the
posterior of a model with Gaussian noise and Gaussian priors, whose parameters are drawn, too
(R. Salakhutdinov and A. Mnih, "Bayesian probabilistic matrix factorization using Markov chain
Monte Carlo", ICML 2008). There is no rate, no momentum and no penalty to choose. All of it is done
in units of the ratings' standard deviation, so that their scale does not matter.

The mean of the predictions of n samples is a biased matrix factorization of n k factors. After
every epoch it is brought back to few of them by the singular value decomposition, and the model is
its best approximation by k. On real ratings that costs a few ten-thousandths of RMSE.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mfcli.data import Ratings
from mfcli.model import Model
from mfcli.training.engines import Losses, Progress, take_over
from mfcli.training.gibbs.kernels import Doubles, sampling_kernels
from mfcli.training.gibbs.low_rank import multiplied, truncated
from mfcli.training.gibbs.noise import Noise
from mfcli.training.gibbs.priors import Effects, draw_prior
from mfcli.training.gibbs.sides import Halves

_KEPT = 2  # times k factors of the running mean: what is cut off now might matter later
_SPREAD = 4.0  # times the weights to start from: from smaller ones the priors begin too narrow


class Rows(NamedTuple):
    """Biases and factors of both sides, each row ``(b, p)``.

    Attributes
    ----------
    users, items : float64 arrays, shapes (n_users, k + 1) and (n_items, k + 1)
    """

    users: Doubles
    items: Doubles


class GibbsEngine:
    """Draws from the posterior, and gives the mean of the later epochs.

    Parameters
    ----------
    start : Model
        Where the chain starts.
    halves : Halves
        The ratings to train on.
    held_out : Ratings
        To validate on.
    """

    def __init__(self, start: Model, halves: Halves, held_out: Ratings) -> None:
        config, d = start.config, start.k + 1
        self._start, self._held_out = start, held_out
        self._users, self._items, self._unit = halves
        self._threads, self._total = self._users.threads, int(self._users.counts.sum())
        self._center = start.mu / self._unit
        self._sample = Rows(
            _SPREAD * np.column_stack([start.user_biases, start.user_factors]).astype(np.float64),
            _SPREAD * np.column_stack([start.item_biases, start.item_factors]).astype(np.float64),
        )
        self._noise = Noise(self._users.counts, of_users=config.noise == "user")
        self._effects = (
            (Effects(self._users, self._items, d), Effects(self._items, self._users, d))
            if config.prior == "implicit"
            else ()
        )
        self._item_mean = np.zeros(d)  # of the prior
        self._mean = Rows(*(np.zeros((len(rows), 1 + _KEPT * start.k)) for rows in self._sample))
        self._mu, self._count = np.zeros(1), np.zeros(1)

    def run_epoch(self, epoch: int, on_progress: Progress) -> Losses:
        rng = np.random.default_rng([self._start.config.seed, 1, epoch])
        of_users = self._noise.precision * self._noise.weights
        of_items = np.ones(len(self._items.counts))
        self._draw(0, of_users, of_items, rng)
        on_progress(self._total // 2, self._total)
        self._item_mean[:] = self._draw(1, of_items, np.sqrt(of_users), rng)
        squares = self._square_errors()
        self._noise.draw(squares, rng)
        config = self._start.config
        if config.averaged and epoch >= config.first_averaged:
            self._add()
        on_progress(self._total, self._total)
        mse = float(squares.sum()) * self._unit**2 / self._total
        return Losses(mse, mse)

    def validate(self) -> Losses:
        predicted = self.model().predict_rows(self._held_out.user, self._held_out.item)
        mse = float(np.mean(np.square(predicted - self._held_out.rating), dtype=np.float64))
        return Losses(mse, mse)

    def model(self) -> Model:
        """Return the mean of the samples, or the last one if none has counted yet."""
        k = self._start.k
        mu, rows = (float(self._mu[0]), self._mean) if self._count[0] else self._centred()
        units = np.full(k + 1, math.sqrt(self._unit))  # of a product of two factors
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

    def state(self) -> dict[str, NDArray[Any]]:
        sides = {"sample": self._sample, "mean": self._mean}
        rows = {f"{name}.{side}": getattr(r, side) for name, r in sides.items() for side in _SIDES}
        drawn = {
            f"{name}.{side}": array
            for side, effects in zip(_SIDES, self._effects, strict=False)
            for name, array in effects.state().items()
        }
        return rows | drawn | self._noise.state() | self._means()

    def _means(self) -> dict[str, NDArray[Any]]:
        return {"item_mean": self._item_mean, "mu": self._mu, "count": self._count}

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        take_over(self.state(), state)

    def _draw(
        self, side: int, alphas: Doubles, roots: Doubles, rng: np.random.Generator
    ) -> Doubles:
        """Draw the prior of a side, then its rows; the noise has precision alpha root^2.

        Returns
        -------
        float64 array, shape (k + 1,)
            The prior mean of a row without ratings.
        """
        half = (self._users, self._items)[side]
        mine, theirs = self._sample[side], self._sample[1 - side]
        effects = self._effects[side] if self._effects else None
        sums = effects.sums if effects else np.zeros_like(mine)
        precision, mean = draw_prior((mine - sums)[half.seen], rng, self._threads)
        if effects:
            effects.draw(mine - mean, precision, rng)
        shifts = multiplied(mean + sums, precision, self._threads)
        normals = rng.standard_normal(mine.shape)
        half.each(
            lambda first, last: sampling_kernels().draw(
                first, last, *half.side, self._center, mine, theirs,
                roots, alphas, precision, shifts, normals,
            )
        )  # fmt: skip
        return mean

    def _square_errors(self) -> Doubles:
        """Return the sum of the squared errors of each user."""
        half, sums = self._users, np.empty(len(self._users.counts))
        half.each(
            lambda first, last: sampling_kernels().square_errors(
                first, last, *half.side, self._center, *self._sample, sums
            )
        )
        return sums

    def _centred(self) -> tuple[float, Rows]:
        """Return mu and rows that predict the same, those of each side less one row.

        With rows n and m::

            p.q = n.m + (p - n).m + n.(q - m) + (p - n).(q - m)

        so that who has no rating, and stays at zero, is predicted like n or m. A user without
        ratings is one of whom nothing is known: n is the mean of the users. An item without is one
        that few rate: m is the mean of the items' prior, to which nobody who rates it adds.
        """
        (user, item), m = self._sample, self._item_mean
        n = user[self._users.seen].mean(axis=0)
        p, q = user[:, 1:] - n[1:], item[:, 1:] - m[1:]
        user_biases, item_biases = user[:, 0] - n[0] + p @ m[1:], item[:, 0] - m[0] + q @ n[1:]
        mu = self._center + float(n[0] + m[0] + n[1:] @ m[1:])
        users = np.column_stack([user_biases, p]) * self._users.seen[:, None]
        items = np.column_stack([item_biases, q]) * self._items.seen[:, None]
        return mu, Rows(users, items)

    def _add(self) -> None:
        """Take the sample into the mean: the n-th moves it by 1/n of the way."""
        self._count += 1
        share, old = 1 / self._count[0], self._mean
        mu, new = self._centred()
        self._mu += share * (mu - self._mu)
        for rows, sample in zip(old, new, strict=True):
            rows[:, 0] += share * (sample[:, 0] - rows[:, 0])
        wide = [
            np.hstack([rows[:, 1:] * np.sqrt(1 - share), sample[:, 1:] * np.sqrt(share)])
            for rows, sample in zip(old, new, strict=True)
        ]
        kept = truncated(wide[0], wide[1], old.users.shape[1] - 1, self._threads)
        for rows, factors in zip(old, kept, strict=True):
            rows[:, 1:] = factors


_SIDES = ("users", "items")

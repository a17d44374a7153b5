"""Sampling from the posterior: not the best weights, but the mean over all likely ones.

Each epoch draws the users' rows given the items', then the items' given the users', from the
posterior of a model with Gaussian noise and, for the rows of a side, a Gaussian prior whose mean
and covariance are drawn too, from a Normal-Wishart distribution (R. Salakhutdinov and A. Mnih,
"Bayesian probabilistic matrix factorization using Markov chain Monte Carlo", ICML 2008).
There is no rate, no momentum and no penalty to choose. All of it is done in units of the ratings'
standard deviation, so that their scale does not matter.

The mean of the predictions of n samples is a biased matrix factorization of n k factors. After
every epoch it is brought back to few of them by the singular value decomposition, and the model is
its best approximation by k. On real ratings that costs a few ten-thousandths of RMSE.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mfcli.engines import Losses, Progress, take_over
from mfcli.low_rank import gram, truncated
from mfcli.model import Model
from mfcli.parallel import each
from mfcli.ratings import Ratings
from mfcli.sampling import Doubles, Side, make_side, sampling_kernels

_KEPT = 2  # times k factors of the running mean: what is cut off now might matter later
_PRIOR_ROWS = 2.0  # beta_0: rows of the mean that the prior stands for
_SPREAD = 4.0  # times the weights to start from: from smaller ones the priors begin too narrow
_NOISE = 1.0  # shape and rate, doubled, of the prior of the noise's precision
_TASK = 1 << 15  # ratings and rows of one task


class Rows(NamedTuple):
    """Biases and factors of both sides, each row ``(b, p)``.

    Attributes
    ----------
    users, items : float64 arrays, shapes (n_users, k + 1) and (n_items, k + 1)
    """

    users: Doubles
    items: Doubles


@dataclass(frozen=True)
class _Half:
    """The ratings of a side, and its rows that have any, in tasks of about the same size."""

    side: Side
    seen: NDArray[np.bool_]
    counts: NDArray[np.int64]
    bounds: list[int]


class GibbsEngine:
    """Draws from the posterior, and gives the mean of the later epochs.

    Parameters
    ----------
    start : Model
        Where the chain starts.
    train, held_out : Ratings
    threads : int
        Does not change the result.
    """

    def __init__(self, start: Model, train: Ratings, held_out: Ratings, threads: int) -> None:
        config = start.config
        self._start, self._held_out, self._threads = start, held_out, threads
        self._first = config.epochs + 1 - math.ceil(config.averaged * config.epochs)
        self._total = len(train)
        self._unit = float(train.rating.std(dtype=np.float64)) or 1.0
        self._center = start.mu / self._unit
        user, item, rating = train.user, train.item, train.rating / np.float32(self._unit)
        self._users = _half(make_side(user, item, rating, len(train.users)))
        self._items = _half(make_side(item, user, rating, len(train.items)))
        self._sample = Rows(
            _SPREAD * np.column_stack([start.user_biases, start.user_factors]).astype(np.float64),
            _SPREAD * np.column_stack([start.item_biases, start.item_factors]).astype(np.float64),
        )
        width = 1 + _KEPT * start.k
        self._mean = Rows(*(np.zeros((len(rows), width)) for rows in self._sample))
        self._mu, self._count, self._alpha = np.zeros(1), np.zeros(1), np.ones(1)

    def run_epoch(self, epoch: int, on_progress: Progress) -> Losses:
        rng = np.random.default_rng([self._start.config.seed, 1, epoch])
        users, items = self._sample
        self._draw(self._users, users, items, rng)
        on_progress(self._total // 2, self._total)
        self._draw(self._items, items, users, rng)
        squares = self._square_errors()
        self._alpha[0] = rng.gamma((_NOISE + self._total) / 2, 2 / (_NOISE + squares))
        if epoch >= self._first:
            self._add()
        on_progress(self._total, self._total)
        mse = squares * self._unit**2 / self._total
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
        return rows | {"mu": self._mu, "count": self._count, "alpha": self._alpha}

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        take_over(self.state(), state)

    def _draw(self, half: _Half, mine: Doubles, theirs: Doubles, rng: np.random.Generator) -> None:
        precision, mean = draw_prior(mine[half.seen], rng, self._threads)
        normals, shift = rng.standard_normal(mine.shape), precision @ mean
        alpha, mu = float(self._alpha[0]), self._center

        def task(number: int) -> None:
            sampling_kernels().draw(
                half.bounds[number], half.bounds[number + 1], *half.side, mu, mine, theirs,
                alpha, precision, shift, normals,
            )  # fmt: skip

        each(task, len(half.bounds) - 1, self._threads)

    def _square_errors(self) -> float:
        half, sums = self._users, np.empty(len(self._users.counts))

        def task(number: int) -> None:
            sampling_kernels().square_errors(
                half.bounds[number], half.bounds[number + 1], *half.side, self._center,
                *self._sample, sums,
            )  # fmt: skip

        each(task, len(half.bounds) - 1, self._threads)
        return float(sums.sum())

    def _centred(self) -> tuple[float, Rows]:
        """Return mu and rows that predict the same, those of each side around zero.

        With means n of the users and m of the items::

            p.q = n.m + (p - n).m + n.(q - m) + (p - n).(q - m)

        so that who has no rating, and stays at zero, has the prediction of a row at the mean.
        """
        half = zip(self._sample, (self._users, self._items), strict=True)
        (user, n), (item, m) = ((rows, rows[own.seen].mean(axis=0)) for rows, own in half)
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


def _half(side: Side) -> _Half:
    counts = np.diff(side.starts)
    load = np.cumsum(counts + 1)  # a row costs about as much as a few ratings
    marks = np.arange(_TASK, load[-1], _TASK)
    bounds = np.unique(np.concatenate([[0], np.searchsorted(load, marks), [len(counts)]]))
    return _Half(side, counts > 0, counts, bounds.tolist())


def draw_prior(
    rows: Doubles, rng: np.random.Generator, threads: int = 1
) -> tuple[Doubles, Doubles]:
    """Draw the precision and the mean of a Gaussian that rows may have come from.

    The prior of both is Normal-Wishart with mean 0 standing for two rows, d degrees of freedom and
    the identity as scale (Salakhutdinov and Mnih, equation 14).

    Parameters
    ----------
    rows : float64 array, shape (n, d)
    rng : Generator
    threads : int
        Do not change the result.

    Returns
    -------
    precision : float64 array, shape (d, d)
    mean : float64 array, shape (d,)
    """
    n, d = rows.shape
    mean = rows.mean(axis=0)
    scatter = gram(rows - mean, threads)
    scatter += _PRIOR_ROWS * n / (_PRIOR_ROWS + n) * np.outer(mean, mean) + np.eye(d)
    precision = _wishart(scatter, d + n, rng)
    upper = np.linalg.cholesky((_PRIOR_ROWS + n) * precision).T
    drawn = n * mean / (_PRIOR_ROWS + n) + np.linalg.solve(upper, rng.standard_normal(d))
    return precision, drawn


def _wishart(inverse_scale: Doubles, freedom: int, rng: np.random.Generator) -> Doubles:
    """Draw from a Wishart distribution (M. S. Bartlett's decomposition, 1933)."""
    d = len(inverse_scale)
    root = np.linalg.inv(np.linalg.cholesky(inverse_scale)).T  # its product with root^T: the scale
    lower = np.tril(rng.standard_normal((d, d)), -1)
    lower[np.diag_indices(d)] = np.sqrt(rng.chisquare(freedom - np.arange(d)))
    factor = root @ lower
    drawn: Doubles = factor @ factor.T
    return drawn

"""The mean of the predictions of all samples, as one factorization."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np

from mfcli.aligned import aligned, lanes_of
from mfcli.training.engine import State
from mfcli.training.gibbs.low_rank import truncate
from mfcli.training.normal_equations.products import in_pieces
from mfcli.types import Doubles, Floats

_KEPT = 2  # times k: factors of the mean, some of which may matter later
_SIDES = ("users", "items")


class Factorization(NamedTuple):
    """A factorization of predictions.

    Attributes
    ----------
    mu : float
    biases : list of two float32 arrays, shapes (users,) and (items,)
    factors : list of two float32 arrays, shapes (users, k) and (items, k)
    """

    mu: float
    biases: list[Floats]
    factors: list[Floats]


class Centered(NamedTuple):
    """A sample whose rows without ratings are zero.

    Attributes
    ----------
    mu : float
    users, items : float32 arrays, shape (n, width)
        The bias, the factors, and padding.
    """

    mu: float
    users: Floats
    items: Floats

    def factorization(self, k: int) -> Factorization:
        """Return the parts of the rows; not copied."""
        rows = self.users, self.items
        biases, factors = [side[:, 0] for side in rows], [side[:, 1 : 1 + k] for side in rows]
        return Factorization(self.mu, biases, factors)


class RunningMean:
    """Mean of samples of k factors, reduced to 2 k factors after each one.

    Parameters
    ----------
    k : int
    rows : sequence of int
        Numbers of users and of items.
    width : int
        Of a row of a sample.

    Attributes
    ----------
    samples : list of two float64 arrays, shapes (users,) and (items,)
        How many samples of each row the mean is worth.
    """

    def __init__(self, k: int, rows: tuple[int, int], width: int) -> None:
        self._k, self._width, kept = k, width, lanes_of(_KEPT * k)
        self._mu, self._count = np.zeros(1), np.zeros(1)
        self.samples = [np.zeros(n) for n in rows]
        self._biases = [np.zeros(n, np.float32) for n in rows]
        # Factors of the mean, and beside them those of the next sample
        self._joined = [aligned((n, kept + width)) for n in rows]
        self._factors = [joined[:, :kept] for joined in self._joined]

    def emptied(self) -> RunningMean:
        """Return a mean of no samples, of the same shape."""
        users, items = self._biases
        return RunningMean(self._k, (len(users), len(items)), self._width)

    @property
    def count(self) -> int:
        """Number of samples."""
        return int(self._count[0])

    def add(self, sample: Centered, threads: int) -> None:
        """Add a sample: the n-th one has the weight 1/n.

        Factors of the mean are multiplied by ``sqrt(1 - 1/n)`` and those of the sample by
        ``sqrt(1/n)``, both for users and items, which gives products the weights ``1 - 1/n`` and
        ``1/n``.
        """
        self._count += 1
        weight = 1 / float(self._count[0])
        # mean += (new - mean) / n, which does not grow as a sum would
        self._mu += weight * (sample.mu - self._mu)
        for number, rows in enumerate((sample.users, sample.items)):
            self.samples[number] += 1
            in_pieces(partial(self._join, number, rows, weight), len(rows), threads)
        # [p, p'] [q, q']^T is the new mean of the products, of rank 3 k; keep the best 2 k.
        p, q = self._joined
        truncate(p, q, _KEPT * self._k, self._factors[0].shape[1], threads)

    def stand_for(self, mean: Centered, samples: int) -> None:
        """Take a factorization for the mean of some samples."""
        self._mu[:], self._count[:] = mean.mu, samples
        for number, rows in enumerate((mean.users, mean.items)):
            self.samples[number][:] = samples
            self._biases[number][:] = rows[:, 0]
            self._factors[number][:, : self._k] = rows[:, 1 : 1 + self._k]

    def _join(self, number: int, sample: Floats, weight: float, some: slice) -> None:
        biases, factors = self._biases[number][some], self._factors[number][some]
        rows, beside = sample[some], self._joined[number][some, factors.shape[1] :]
        biases += np.float32(weight) * (rows[:, 0] - biases)
        factors *= np.float32((1 - weight) ** 0.5)
        np.multiply(rows, np.float32(weight**0.5), out=beside)
        beside[:, 0] = 0.0  # the bias of the sample

    def faded(self, newer: RunningMean, kept: tuple[Doubles, Doubles], threads: int) -> RunningMean:
        """Return the mean of these samples and newer ones, which count more where ratings are new.

        If M and N are the predictions of this mean and of the newer one, those of the result are
        ``N + a_u c_i (M - N)``. The weights ``a_u = f^2 s / (f^2 s + n)`` fall with the number n of
        newer samples, and rise with the number s of these, and with the fraction f of the ratings
        of a row that they were drawn from. Those of the items, c_i, are alike.

        Parameters
        ----------
        newer : RunningMean
            Not empty.
        kept : tuple of float64 arrays, shapes (users,) and (items,)
            The fractions f of users and of items.
        threads : int
            Does not change the result.
        """
        out, shares = self.emptied(), []
        for number, (old, f) in enumerate(zip(self.samples, kept, strict=True)):
            old = f * f * old
            out.samples[number] = old + newer.samples[number]
            shares.append((old / np.maximum(out.samples[number], 1)).astype(np.float32))
        (a, c), d = shares, np.float32(self._mu[0] - newer._mu[0])
        # Most rows have the largest weights, A and C. With them, biases are mixed exactly:
        # a c (d + d_u + d_i) = A C d + a C d_u + A c d_i
        #                       + (a d_u + A d) (c - C) + (a - A) (c d_i + c d)
        (most_a, most_c) = a.max(initial=0), c.max(initial=0)
        d_u, d_i = (old - new for old, new in zip(self._biases, newer._biases, strict=True))
        out._mu[0] = newer._mu[0] + float(most_a * most_c) * d
        out._biases[0][:] = newer._biases[0] + most_c * a * d_u
        out._biases[1][:] = newer._biases[1] + most_a * c * d_i
        # a c p.q + (1 - a c) p'.q', where 1 - a c = (1 - a) + a (1 - c)
        (p, q), (new_p, new_q) = self._factors, newer._factors
        a, c = a[:, None], c[:, None]
        d_u, d_i = d_u[:, None], d_i[:, None]
        users = [a * p, (1 - a) * new_p, a * new_p, a * d_u + most_a * d, a - most_a]
        items = [c * q, new_q, (1 - c) * new_q, c - most_c, c * (d_i + d)]
        joined = _joined(users), _joined(items)
        truncate(*joined, _KEPT * self._k, p.shape[1], threads)
        for factors, rows in zip(out._factors, joined, strict=True):
            factors[:] = rows[:, : p.shape[1]]
        out._count[:] = self._count + newer._count
        return out

    def best(self) -> Factorization:
        """Return the best approximation of the mean with k factors; not copied."""
        factors = [rows[:, : self._k] for rows in self._factors]
        return Factorization(float(self._mu[0]), self._biases, factors)

    def state(self) -> State:
        """Return all arrays, by name; not copied."""
        biases = {f"mean_biases.{s}": a for s, a in zip(_SIDES, self._biases, strict=True)}
        factors = {f"mean.{s}": a for s, a in zip(_SIDES, self._factors, strict=True)}
        samples = {f"samples.{s}": a for s, a in zip(_SIDES, self.samples, strict=True)}
        return biases | factors | samples | {"mu": self._mu, "count": self._count}


def _joined(blocks: list[Floats]) -> Floats:
    """Return blocks of columns side by side, with padding."""
    width = sum(block.shape[1] for block in blocks)
    out = aligned((len(blocks[0]), lanes_of(width)))
    np.concatenate(blocks, axis=1, out=out[:, :width])
    return out

"""The equations of one row: of a user's [p, b] given the items' rows and the user's ratings.

For one user, let s_i = mu + b_i + [q_i, 1] . x be the prediction for item i from the row x. Then

    x minimizes  sum c_i (t_i - s_i)^2 + w sum_j (r0 - s_j)^2 + penalty(x)

over the rated items i, with targets t and weights c, and over all trained items j, if pairs that
nobody rated count (see `objective.py`). For als, the penalty is that of training, so x is the row
that training would give. For other models, and for means of several, training does not say how to
estimate one user alone. The user is then assumed to be similar to the users of the model,
x ~ N(m, S), and ratings have the noise s2. With S = L L' and x = m + L z, the most probable x has
the penalty s2 |z|^2 (Bayesian linear regression: C. M. Bishop, "Pattern Recognition and Machine
Learning", 2006, section 3.3; a prior from the other users: R. Salakhutdinov and A. Mnih, "Bayesian
probabilistic matrix factorization using MCMC", ICML 2008). S need not have an inverse.

Let d_i = L' [q_i, 1] and e_i = mu + b_i + [q_i, 1] . m (for als, L = I and m = 0; without biases,
0 in place of 1). Then z solves

    (G + D + sum c_i d_i d_i') z = g + sum c_i (t_i - e_i) d_i

    G = w sum_j d_j d_j',    g = w sum_j (r0 - e_j) d_j,    D: the diagonal of penalties

The model is symmetric, so the row [q, b] of an item solves the same equations with users and items
exchanged.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from mfcli.data import Ratings, counts_of
from mfcli.errors import ArtifactError, DataError
from mfcli.model.folder import StoredModel
from mfcli.model.objective import pair_targets, pair_weights, row_penalties
from mfcli.model.row_distribution import RowDistribution, is_trained, other_side
from mfcli.types import Counts, Doubles, Mask

_BLOCK = 1 << 18  # float64 numbers in the equations that are solved together: 2 MB
_LEAST_NOISE = 1e-9  # fraction of the prior variance of a rating; keeps the equations regular
_TINY = np.finfo(np.float64).tiny


class Systems(NamedTuple):
    """The equations of b rows with n ratings each.

    Attributes
    ----------
    matrices : float64 array, shape (b, d, d)
    rows : float64 array, shape (b, n, d)
        The d_i of the ratings.
    pulls : float64 array, shape (b, n)
        c_i (t_i - e_i): how strongly each rating moves z in the direction d_i.
    """

    matrices: Doubles
    rows: Doubles
    pulls: Doubles


@dataclass(frozen=True)
class RowEquations:
    """The equations of the rows of one side, up to their ratings.

    Attributes
    ----------
    model : StoredModel
    side : {"user", "item"}
        The side of the rows; the design has the rows of the other side.
    mean : float64 array, shape (d,), d = k + 1
        The row m for z = 0.
    root : float64 array, shape (d, d)
        L, so that a row is m + L z.
    design : float64 array, shape (n_others, d)
        The rows d_i.
    expected : float64 array, shape (n_others,)
        The predictions e_i for z = 0.
    gram, shift : float64 arrays, shapes (d, d) and (d,)
        G and g.
    others : int
        Number of trained rows of the other side.
    noise : float
        The penalty s2.
    """

    model: StoredModel
    side: str
    mean: Doubles
    root: Doubles
    design: Doubles
    expected: Doubles
    gram: Doubles
    shift: Doubles
    others: int
    noise: float

    @classmethod
    def of(cls, model: StoredModel, side: str, noise: float | None = None) -> Self:
        """Make the equations of a side of a model.

        Parameters
        ----------
        model : StoredModel
        side : {"user", "item"}
        noise : float, optional
            Variance of a rating around its prediction, in squared rating units. Not used if
            training gives the rows (see `are_trained`). By default, the mean squared error on
            validation ratings, because that on training ratings is too small if the model overfits.
            That on training ratings if none were held out, or if the model predicts scores, for
            which held-out pairs count as unrated ones.

        Raises
        ------
        ArtifactError
            If the model has no such error, and `noise` is not given.
        """
        noise = _noise_of(model) if noise is None else noise
        other, d, one = other_side(side), model.k + 1, float(model.config.biases)
        factors, biases = model.tables[f"{other}_factors"], model.tables[f"{other}_biases"]
        rows = np.column_stack([factors, np.full(len(factors), one)])  # [q_i, 1]
        mean, root = np.zeros(d), np.eye(d)
        if not are_trained(model):
            rows_of_side = RowDistribution.of(model, side)
            mean, root = rows_of_side.mean, rows_of_side.root
        expected = model.mu + biases + rows @ mean
        design = rows @ root
        # A noise of zero would make the equations singular if L is.
        noise = max(noise, _LEAST_NOISE * np.mean(np.sum(np.square(design), axis=1)), _TINY)
        known = is_trained(model, other)
        gram, shift = _unrated(model, known, design, expected)
        others = int(np.count_nonzero(known))
        return cls(model, side, mean, root, design, expected, gram, shift, others, noise)

    def systems(self, rated: Ratings, positions: Counts) -> Systems:
        """Return the equations of rows with equally many ratings.

        Parameters
        ----------
        rated : Ratings
            In the rows of the model; those of the other side are known.
        positions : int64 array, shape (b, n)
            Of the ratings of each row, as `equal_counts` yields them.
        """
        own, config = rated.take(positions), self.model.config
        others = getattr(own, other_side(self.side))
        pulls = pair_targets(own.rating, config) - self.expected.take(others)
        rows = self.design.take(others, axis=0)  # several times as fast as an index
        weighted = rows
        weights = pair_weights(own, self.model.scale, config)
        if weights is not None:
            pulls, weighted = pulls * weights, rows * weights[:, :, None]
        matrices = rows.transpose(0, 2, 1) @ weighted
        matrices += self.gram + np.diag(self._penalties(positions.shape[1]))
        return Systems(matrices, rows, pulls)

    def rows(self, rated: Ratings, positions: Counts) -> Doubles:
        """Estimate rows with equally many ratings, shape (b, d).

        The parameters are those of `systems`.
        """
        matrices, rows, pulls = self.systems(rated, positions)
        right = self.shift[:, None] + rows.transpose(0, 2, 1) @ pulls[:, :, None]
        # One product per row, so that an estimate does not depend on the other rows.
        estimates: Doubles = self.mean + (self.root @ self.solved(matrices, right))[:, :, 0]
        return estimates

    def solved(self, matrices: Doubles, right: Doubles) -> Doubles:
        """Solve the equations of several rows.

        Raises
        ------
        DataError
            If they are singular, or a solution is not finite.
        """
        solutions: Doubles = np.full(right.shape, np.nan)
        with contextlib.suppress(np.linalg.LinAlgError):
            solutions = np.asarray(np.linalg.solve(matrices, right), np.float64)
        if not np.isfinite(solutions).all():
            article = {"user": "a", "item": "an"}[self.side]
            raise DataError(
                f"the ratings of {article} {self.side} do not determine the {self.side}'s factors",
                remedy="use weights closer to 1, or train with a larger penalty",
            )
        return solutions

    def _penalties(self, count: int) -> Doubles:
        """Return the diagonal D for rows with a number of ratings, shape (d,)."""
        if not are_trained(self.model):
            return np.full(len(self.mean), self.noise)
        counts, config = np.array([count]), self.model.config
        bias, factors = row_penalties(counts, self.others, config, self.side)[0]
        # Without biases, any penalty keeps the bias at 0.
        return np.append(np.full(self.model.k, factors), bias if config.biases else 1.0)


def are_trained(model: StoredModel) -> bool:
    """Whether the equations are those that training solves for each row."""
    return model.config.optimizer == "als" and model.config.ensemble == 1


def _noise_of(model: StoredModel) -> float:
    if are_trained(model):
        return 0.0
    # Without held-out ratings, only the error on training ratings is known.
    kind, names = {
        "ratings": ("validation", ("val_mse", "mse")),
        "scores": ("training", ("mse",)),
    }[model.predicts]
    known = [model.losses[name] for name in names if name in model.losses]
    if not known:
        raise ArtifactError(f"the model has no {kind} error", remedy="train again")
    return known[0]


def _unrated(
    model: StoredModel, known: Mask, design: Doubles, expected: Doubles
) -> tuple[Doubles, Doubles]:
    """Return G and g, which are zero if pairs that nobody rated do not count."""
    weight, rating = model.config.unrated_weight, model.config.unrated_rating
    if not weight:
        return np.zeros((design.shape[1],) * 2), np.zeros(design.shape[1])
    rows = design[known]
    return weight * (rows.T @ rows), weight * ((rating - expected[known]) @ rows)


def equal_counts(ratings: Ratings, width: int, side: str) -> Iterator[tuple[Counts, Counts]]:
    """Group the rows of a side by their number of ratings n, so that NumPy solves many at once.

    There are few groups: fewer than sqrt(2 N) different counts add up to N ratings.

    Parameters
    ----------
    ratings : Ratings
    width : int
        Numbers per rating and per equation of a row; groups are split to bound their memory.
    side : {"user", "item"}

    Yields
    ------
    rows : int64 array, shape (b,)
    positions : int64 array, shape (b, n)
        Of their ratings, in the order of the other side.
    """
    own, others = getattr(ratings, side), getattr(ratings, other_side(side))
    # By row, then by the other side: sums have the same order whatever the order of the file.
    order = np.lexsort((others, own))
    counts = counts_of(own, len(getattr(ratings, f"{side}s")))
    starts = np.cumsum(counts) - counts
    for n in np.unique(counts[counts > 0]).tolist():
        # Each row needs those that it was rated with (n x width) and a matrix (width x width).
        size = max(1, _BLOCK // (width * (n + width)))
        rows = np.flatnonzero(counts == n)
        for first in range(0, len(rows), size):
            block = rows[first : first + size]
            yield block, order[starts[block][:, None] + np.arange(n)]

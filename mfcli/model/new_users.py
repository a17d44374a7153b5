"""New users in a trained model: estimated from their ratings, with all the rest as it is.

For one user, let A be the matrix with a row [q_i, 1] for each item rated, and

    y_i = r_i - mu - b_i,      x = [p_u, b_u],      y = A x + noise.

Least squares fit a few ratings without error and predict badly, so a new user is taken to be like
those that the model has: x ~ N(m, S), with m and S the weighted mean and covariance of their
trained rows, and noise ~ N(0, s2), with s2 the mean squared error on the validation ratings. The
most probable x is then

    x = m + (A'A / s2 + S^-1)^-1 A' (y - A m) / s2

(Bayesian linear regression: C. M. Bishop, "Pattern Recognition and Machine Learning", 2006,
section 3.3; a prior from the other users: R. Salakhutdinov and A. Mnih, "Bayesian probabilistic
matrix factorization using MCMC", ICML 2008.) With S = L L' and x = m + L z it is a ridge
regression whose penalty is s2, and S need not have an inverse:

    z minimises |(y - A m) - (A L) z|^2 + s2 |z|^2

The weights of the trained users are the square roots of their numbers of ratings. Users with few
ratings have hardly left zero, and as many as they are would make the prior too narrow; a weight of
a rating each would make it that of the most active users. The training error would be too small an
s2 where the model overfits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfcli.data import Ratings, Vocabulary, united
from mfcli.errors import DataError
from mfcli.model.model import Model

_BLOCK = 1 << 22  # numbers of the equations of the users that are solved together: 32 MB
_LEAST_NOISE = 1e-9  # of the variance that the prior gives to a rating; keeps equations regular
_TINY = np.finfo(np.float64).tiny

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Prior:
    """What is known of a user, [p_u, b_u], before any rating.

    Attributes
    ----------
    mean : float64 array, shape (k + 1,)
    root : float64 array, shape (k + 1, k + 1)
        L in S = L L', the covariance.
    """

    mean: Floats
    root: Floats

    @classmethod
    def of(cls, model: Model) -> Prior:
        """Take the users of a model as a sample, without those that were folded in."""
        rows = np.column_stack([model.user_factors, model.user_biases]).astype(np.float64)
        weights = np.where(_folded_rows(model), 0.0, np.sqrt(model.users.counts))
        weights /= weights.sum() or 1.0
        mean = weights @ rows
        centred = rows - mean
        values, vectors = np.linalg.eigh((centred.T * weights) @ centred)
        return cls(mean, vectors * np.sqrt(np.maximum(values, 0)))


@dataclass(frozen=True)
class Folded:
    """Users estimated from their ratings.

    Attributes
    ----------
    model : Model
        That they were folded into, with these users in the place of its own, in the order of the
        ratings file. Counts are of ratings of known items; with none, factors and bias are zero.
    rated : Ratings
        Their ratings, in the rows of `model`; -1 for items that are not in its vocabulary.
    unknown_items, unknown_ratings : int
        Items without training ratings, and the ratings of them, which were left out.
    replaced : int
        Users that the model knew before.
    """

    model: Model
    rated: Ratings
    unknown_items: int
    unknown_ratings: int
    replaced: int

    @property
    def empty_users(self) -> int:
        """Count the users who have rated no known item."""
        return int(np.count_nonzero(self.model.users.counts == 0))

    def as_dict(self) -> dict[str, Any]:
        """Return the counts as plain values."""
        return {
            "users": len(self.model.users),
            "replaced": self.replaced,
            "without_known_items": self.empty_users,
            "ratings": int(self.model.users.counts.sum()),
            "unknown_ratings": self.unknown_ratings,
            "unknown_items": self.unknown_items,
        }


def fold_in(model: Model, ratings: Ratings, noise: float, *, anew: bool = False) -> Folded:
    """Estimate the users of some ratings, each from their own ratings alone.

    The order of the ratings and the other users do not matter.

    Parameters
    ----------
    model : Model
    ratings : Ratings
        Over vocabularies of their own; items are matched by their raw ids. Users without a rating
        do not count.
    noise : float
        Variance of a rating around its prediction, in squared rating units: the model's mean
        squared error on validation ratings.
    anew : bool
        Estimate users that the model has training ratings of anew; else they are an error.

    Returns
    -------
    Folded

    Raises
    ------
    DataError
        If the model knows one of the users and `anew` is false.
    """
    ratings = ratings.without_empty()
    replaced = _known_users(model, ratings.users, anew)
    rated = ratings.within(ratings.users, model.items)
    known = (rated.item >= 0) & (model.items.counts[rated.item] > 0)
    kept = rated.take(known)
    users = ratings.users.counting(kept.user)
    rows = _estimated(model, kept.over(users, model.items), noise).astype(np.float32)
    new = replace(
        model,
        users=users,
        user_factors=np.ascontiguousarray(rows[:, :-1]),
        user_biases=rows[:, -1].copy(),
        folded_in=((0, len(users)),),
    )
    unknown = np.unique(ratings.item[~known])
    return Folded(new, rated.over(users, model.items), len(unknown), int((~known).sum()), replaced)


def _known_users(model: Model, users: Vocabulary, anew: bool) -> int:
    """Count the users that the model has training ratings of, or refuse them."""
    rows = model.users.rows(users.ids)
    known = (rows >= 0) & (model.users.counts[rows] > 0)
    if known.any() and not anew:
        raise DataError(
            f"user {users.ids[int(np.argmax(known))].as_py()!r} is in the model already; estimate"
            " such users anew, from these ratings alone, with --replace"
        )
    return int(np.count_nonzero(known))


def _estimated(model: Model, ratings: Ratings, noise: float) -> Floats:
    """Solve for all users of ratings of known items; return [p_u, b_u], zero without ratings."""
    prior = Prior.of(model)
    design = np.column_stack([model.item_factors, np.ones(len(model.items))])  # a row [q_i, 1]
    expected = model.mu + model.item_biases + design @ prior.mean
    design = design @ prior.root
    penalty = max(noise, _LEAST_NOISE * np.mean(np.sum(np.square(design), axis=1)), _TINY)
    found = np.zeros((len(ratings.users), len(prior.mean)))
    for users, rows in _equal_counts(ratings, len(prior.mean)):
        item = ratings.item[rows]  # (b, n)
        z = _ridge(design[item], ratings.rating[rows] - expected[item], penalty)
        found[users] = prior.mean + (prior.root @ z[:, :, None])[:, :, 0]  # a product for each user
    return found


def _equal_counts(
    ratings: Ratings, width: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield users who have rated equally many items, and the positions of their ratings, (b, n).

    There are few such counts: different ones that add up to N ratings are less than sqrt(2 N).
    A user's ratings come in the order of the items.
    """
    order = np.lexsort((ratings.item, ratings.user))
    counts = ratings.users.counts
    starts = np.cumsum(counts) - counts
    for n in np.unique(counts[counts > 0]).tolist():
        size = max(1, _BLOCK // (width * (n + width)))
        users = np.flatnonzero(counts == n)
        for part in range(0, len(users), size):
            block = users[part : part + size]
            yield block, order[starts[block][:, None] + np.arange(n)]


def _ridge(a: Floats, y: Floats, penalty: float) -> NDArray[Any]:
    """Minimise |y - A z|^2 + penalty |z|^2 for each A (n, d) and y (n,) of a stack.

    z = (A'A + penalty I)^-1 A'y = A' (AA' + penalty I)^-1 y, whichever system is smaller.
    """
    across, right = a.transpose(0, 2, 1), y[:, :, None]
    if a.shape[1] < a.shape[2]:
        return (across @ np.linalg.solve(_plus(a @ across, penalty), right))[:, :, 0]
    return np.linalg.solve(_plus(across @ a, penalty), across @ right)[:, :, 0]


def _plus(squares: Floats, penalty: float) -> Floats:
    """Add a number to the diagonals of a stack of matrices, in place."""
    diagonal = np.arange(squares.shape[1])
    squares[:, diagonal, diagonal] += penalty
    return squares


def extended(model: Model, folded: Folded) -> Model:
    """Append users that were folded in to the users of a model.

    Those that are in its vocabulary already keep their row and get the new estimate and count. Ids
    become text if the new ones are text and the model's are integers, or the other way round.
    Users that were folded in are no part of the prior of later ones, so it does not matter whether
    new users come at once or one after another.
    """
    new = folded.model
    users, rows = united(model.users, new.users)
    tables: dict[str, Any] = {}
    for name in ("user_factors", "user_biases"):
        old = model.tables[name]
        tables[name] = np.concatenate(
            [old, np.zeros((len(users) - len(old), *old.shape[1:]), "f4")]
        )
        tables[name][rows] = new.tables[name]
    counts = users.counts.copy()
    counts[rows] = new.users.counts
    made = replace(model, users=Vocabulary(users.ids, counts), **tables)
    folded_rows = _folded_rows(made)
    folded_rows[rows] = True
    return replace(made, folded_in=_ranges(folded_rows))


def _folded_rows(model: Model) -> NDArray[np.bool_]:
    """Whether each user was folded in."""
    rows = np.zeros(len(model.users), np.bool_)
    for start, end in model.folded_in:
        rows[start:end] = True
    return rows


def _ranges(rows: NDArray[np.bool_]) -> tuple[tuple[int, int], ...]:
    """Return where runs of true begin and end."""
    edges = np.flatnonzero(np.diff(rows, prepend=False, append=False)).tolist()
    return tuple(zip(edges[::2], edges[1::2], strict=True))

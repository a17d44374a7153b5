"""Fold-in: new users of a trained model, estimated from their ratings. Nothing else changes.

For one user, let A be the matrix with a row [q_i, 1] for each rated item, and

    y_i = r_i - mu - b_i,      x = [p_u, b_u],      y = A x + noise.

Least squares would fit a few ratings without error and predict badly. A new user is therefore
assumed to be similar to the users of the model: x ~ N(m, S), where m and S are the weighted mean
and covariance of their trained rows, and noise ~ N(0, s2), where s2 is the mean squared error on
the validation ratings. The most probable x is then

    x = m + (A'A / s2 + S^-1)^-1 A' (y - A m) / s2

(Bayesian linear regression: C. M. Bishop, "Pattern Recognition and Machine Learning", 2006,
section 3.3; a prior from the other users: R. Salakhutdinov and A. Mnih, "Bayesian probabilistic
matrix factorization using MCMC", ICML 2008.) With S = L L' and x = m + L z this is a ridge
regression with penalty s2, for which S need not have an inverse:

    z minimizes |(y - A m) - (A L) z|^2 + s2 |z|^2

Trained users are weighted by the square roots of their numbers of ratings. With equal weights, the
many users with few ratings, whose rows have hardly moved from zero, would make S too small; with
weights equal to the numbers of ratings, S would describe the most active users only. The training
error would be too small a value of s2 if the model overfits.
"""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfcli.arguments import check_type
from mfcli.data import Ratings, RatingsLike, Vocabulary, as_ratings, united
from mfcli.errors import ArtifactError, DataError, Param, UsageError
from mfcli.model.model import Model
from mfcli.storage import one_blas_thread
from mfcli.types import Counts, Doubles, Mask

_BLOCK = 1 << 22  # float64 numbers in the equations that are solved together: 32 MB
_LEAST_NOISE = 1e-9  # fraction of the prior variance of a rating; keeps the equations regular
_TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True)
class UserDistribution:
    """The normal distribution of the rows [p_u, b_u] of a model's users.

    Attributes
    ----------
    mean : float64 array, shape (k + 1,)
    root : float64 array, shape (k + 1, k + 1)
        L in S = L L', where S is the covariance.
    """

    mean: Doubles
    root: Doubles

    @classmethod
    def of(cls, model: Model) -> UserDistribution:
        """Estimate the distribution from the trained users of a model."""
        rows = np.column_stack([model.user_factors, model.user_biases]).astype(np.float64)
        # Folded-in rows are estimates from this distribution: counting them would narrow it.
        weights = np.where(_is_folded_in(model), 0.0, np.sqrt(model.users.counts))
        weights /= weights.sum() or 1.0
        mean = weights @ rows
        centered = rows - mean
        # S = V D V', so L = V D^1/2. Rounding can make eigenvalues slightly negative.
        values, vectors = np.linalg.eigh((centered.T * weights) @ centered)
        return cls(mean, vectors * np.sqrt(np.maximum(values, 0)))


@dataclass(frozen=True)
class FoldedUsers:
    """Users estimated from their ratings.

    Attributes
    ----------
    model : Model
        The model, with these users in place of its own, in the order of the ratings file. Their
        counts are numbers of ratings of known items; users without any have zero factors and bias.
    rated : Ratings
        Their ratings, in rows of `model`; -1 for items that are not in its vocabulary.
    unknown_items, unknown_ratings : int
        Number of items without training ratings, and of the ratings of these items. They are not
        used.
    replaced : int
        Number of these users that the model already knew.
    """

    model: Model
    rated: Ratings
    unknown_items: int
    unknown_ratings: int
    replaced: int

    @property
    def empty_users(self) -> int:
        """Number of users who have rated no known item."""
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


@one_blas_thread()
def fold_in(
    model: Model, ratings: RatingsLike, noise: float | None = None, *, replace: bool = False
) -> FoldedUsers:
    """Estimate users from their ratings.

    An estimate depends on the ratings of that user only, and not on their order.

    Parameters
    ----------
    model : Model
    ratings : Ratings, or what `ratings_from` takes
        With vocabularies that may differ from those of the model; items are matched by their raw
        ids. Users without ratings are ignored.
    noise : float, optional
        Variance of a rating around its prediction, in squared rating units; by default the model's
        mean squared error on validation ratings.
    replace : bool
        Also estimate users for whom the model has training ratings.

    Returns
    -------
    FoldedUsers

    Raises
    ------
    DataError
        If the model has training ratings of a user and `replace` is false.
    ArtifactError
        If the model has no validation error and `noise` is not given.
    UsageError
        If an argument has another type, or the noise is negative.
    """
    check_type(model, Model, "model", "load one with Model.load, or train one with fit")
    ratings = as_ratings(ratings, "ratings").without_empty()
    noise = _validation_error(model) if noise is None else _checked_noise(noise)
    replaced = _count_known(model, ratings.users, replace)
    rated = ratings.within(ratings.users, model.items)
    # The model knows nothing about items without training ratings.
    is_known = (rated.item >= 0) & (model.items.counts[rated.item] > 0)
    kept = rated.take(is_known)
    users = ratings.users.counting(kept.user)
    rows = _estimate(model, kept.over(users, model.items), noise).astype(np.float32)
    estimated = dataclasses.replace(
        model,
        users=users,
        user_factors=np.ascontiguousarray(rows[:, :-1]),
        user_biases=rows[:, -1].copy(),
        folded_in=((0, len(users)),),
    )
    return FoldedUsers(
        model=estimated,
        rated=rated.over(users, model.items),
        unknown_items=len(np.unique(ratings.item[~is_known])),
        unknown_ratings=int((~is_known).sum()),
        replaced=replaced,
    )


def _checked_noise(noise: float) -> float:
    if not (isinstance(noise, numbers.Real) and noise >= 0):
        raise UsageError("must be a number of at least 0", param="noise", value=noise)
    return noise


def _validation_error(model: Model) -> float:
    if "val_mse" not in model.losses:
        raise ArtifactError("the model has no validation error", remedy="train again")
    return model.losses["val_mse"]


def extended(model: Model, folded: FoldedUsers) -> Model:
    """Add folded-in users to the users of a model.

    Users that are already in its vocabulary keep their row and get the new estimate and count. If
    the ids of one are text and those of the other are integers, all become text. Users that were
    folded in do not influence how later users are estimated, so the result is the same for all new
    users at once or one after another.

    Raises
    ------
    UsageError
        If an argument has another type.
    """
    check_type(model, Model, "model", "load one with Model.load, or train one with fit")
    check_type(folded, FoldedUsers, "folded", "make it with fold_in")
    new = folded.model
    users, rows = united(model.users, new.users)
    tables: dict[str, Any] = {}
    for name in ("user_factors", "user_biases"):
        old = model.tables[name]
        # New users come after the old ones in `united`, so no old row moves.
        added = np.zeros((len(users) - len(old), *old.shape[1:]), np.float32)
        tables[name] = np.concatenate([old, added])
        tables[name][rows] = new.tables[name]
    counts = users.counts.copy()
    counts[rows] = new.users.counts
    larger = dataclasses.replace(model, users=Vocabulary(users.ids, counts), **tables)
    is_folded_in = _is_folded_in(larger)
    is_folded_in[rows] = True
    return dataclasses.replace(larger, folded_in=_ranges(is_folded_in))


def _count_known(model: Model, users: Vocabulary, replace: bool) -> int:
    """Count the users of whom the model has training ratings, or refuse them."""
    rows = model.users.rows(users.ids)
    is_known = (rows >= 0) & (model.users.counts[rows] > 0)
    if is_known.any() and not replace:
        user = users.ids[int(np.argmax(is_known))].as_py()
        raise DataError(
            f"user {user!r} is in the model already",
            remedy=["estimate such users from these ratings alone with ", Param("replace", True)],
        )
    return int(np.count_nonzero(is_known))


def _estimate(model: Model, ratings: Ratings, noise: float) -> Doubles:
    """Estimate [p_u, b_u] of all users from ratings of known items; zero without ratings."""
    prior = UserDistribution.of(model)
    design = np.column_stack([model.item_factors, np.ones(len(model.items))])  # rows [q_i, 1]
    # mu + b_i + [q_i, 1] m for each item, and the rows of A L
    expected = model.mu + model.item_biases + design @ prior.mean
    design = design @ prior.root
    # A noise of zero would make the equations singular if L is.
    penalty = max(noise, _LEAST_NOISE * np.mean(np.sum(np.square(design), axis=1)), _TINY)
    estimates = np.zeros((len(ratings.users), len(prior.mean)))
    for users, positions in _equal_counts(ratings, len(prior.mean)):
        item = ratings.item[positions]  # (b, n)
        z = _ridge(design[item], ratings.rating[positions] - expected[item], penalty)
        # One product per user, so that an estimate does not depend on the other users.
        estimates[users] = prior.mean + (prior.root @ z[:, :, None])[:, :, 0]
    return estimates


def _equal_counts(ratings: Ratings, width: int) -> Iterator[tuple[Counts, Counts]]:
    """Group users by their number of ratings n, so that NumPy solves many at once.

    There are few groups: fewer than sqrt(2 N) different counts add up to N ratings.

    Yields
    ------
    users : int64 array, shape (b,)
    positions : int64 array, shape (b, n)
        Of their ratings, in the order of the items.
    """
    # By user, then by item: sums have the same order whatever the order of the file.
    order = np.lexsort((ratings.item, ratings.user))
    counts = ratings.users.counts
    starts = np.cumsum(counts) - counts
    for n in np.unique(counts[counts > 0]).tolist():
        # Each user needs A L (n x width) and a matrix of at most width x width.
        size = max(1, _BLOCK // (width * (n + width)))
        users = np.flatnonzero(counts == n)
        for first in range(0, len(users), size):
            block = users[first : first + size]
            yield block, order[starts[block][:, None] + np.arange(n)]


def _ridge(a: Doubles, y: Doubles, penalty: float) -> NDArray[Any]:
    """Minimize |y - A z|^2 + penalty |z|^2 for each A (n, d) and y (n,) of a stack.

    z = (A'A + penalty I)^-1 A'y = A' (AA' + penalty I)^-1 y; the smaller system is solved.
    """
    transposed, right = a.transpose(0, 2, 1), y[:, :, None]
    if a.shape[1] < a.shape[2]:
        z = transposed @ np.linalg.solve(_add_to_diagonals(a @ transposed, penalty), right)
    else:
        z = np.linalg.solve(_add_to_diagonals(transposed @ a, penalty), transposed @ right)
    return z[:, :, 0]


def _add_to_diagonals(matrices: Doubles, number: float) -> Doubles:
    """Add a number to the diagonals of a stack of square matrices, in place."""
    diagonal = np.arange(matrices.shape[1])
    matrices[:, diagonal, diagonal] += number
    return matrices


def _is_folded_in(model: Model) -> Mask:
    """Return whether each user was folded in."""
    rows = np.zeros(len(model.users), np.bool_)
    for start, end in model.folded_in:
        rows[start:end] = True
    return rows


def _ranges(mask: Mask) -> tuple[tuple[int, int], ...]:
    """Return the start and end of each run of true values."""
    # A run starts and ends where the mask changes: starts and ends alternate.
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False)).tolist()
    return tuple(zip(edges[::2], edges[1::2], strict=True))

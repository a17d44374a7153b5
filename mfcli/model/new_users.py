"""Fold-in: new users of a trained model, estimated from their ratings. Nothing else changes.

Least squares would fit a few ratings without error and predict badly. A new user therefore gets the
row that training would give (als), or is assumed to be similar to the users of the model; see
`user_equations.py`.
"""

from __future__ import annotations

import dataclasses
import numbers
from dataclasses import dataclass
from typing import Any

import numpy as np

from mfcli.arguments import check_type
from mfcli.data import (
    Ratings,
    RatingsLike,
    Vocabulary,
    as_ratings,
    common_feedback,
    united,
)
from mfcli.errors import DataError, Param, UsageError
from mfcli.model.model import Model
from mfcli.model.user_distribution import is_folded_in
from mfcli.model.user_equations import UserEquations, are_trained, equal_counts
from mfcli.storage import one_blas_thread
from mfcli.types import Doubles, Mask


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
        ids. Users without ratings are ignored. For a model of events, each row may be an event.
    noise : float, optional
        Variance of a rating around its prediction, in squared rating units; by default the model's
        mean squared error on validation ratings, or on training ratings if none were held out or
        it predicts scores. Not for als.
    replace : bool
        Also estimate users for whom the model has training ratings.

    Returns
    -------
    FoldedUsers

    Raises
    ------
    DataError
        If the model has training ratings of a user and `replace` is false, if it was trained on
        ratings and these are events, or the other way round, or if weights are so extreme that
        ratings do not determine a user.
    ArtifactError
        If the model has no such error and `noise` is not given.
    UsageError
        If an argument has another type, or the noise is negative or not used.
    """
    check_type(model, Model, "model", "load one with Model.load, or train one with fit")
    ratings = as_ratings(ratings, "ratings", model.feedback).without_empty()
    common_feedback({"the model": model.feedback, "ratings": ratings.feedback})
    _check_noise(noise, model)
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


def _check_noise(noise: float | None, model: Model) -> None:
    if noise is None:
        return
    if not (isinstance(noise, numbers.Real) and noise >= 0):
        raise UsageError("must be a number of at least 0", param="noise", value=noise)
    if are_trained(model):
        rule = "is not used for models trained with als"
        raise UsageError(rule, param="noise", value=noise, remedy="omit it")


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
    mask = is_folded_in(larger)
    mask[rows] = True
    return dataclasses.replace(larger, folded_in=_ranges(mask))


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


def _estimate(model: Model, ratings: Ratings, noise: float | None) -> Doubles:
    """Estimate [p_u, b_u] of all users from ratings of known items; zero without ratings."""
    equations = UserEquations.of(model, noise)
    width = len(equations.mean)
    estimates = np.zeros((len(ratings.users), width))
    for users, positions in equal_counts(ratings, width):
        estimates[users] = equations.rows(ratings, positions)
    return estimates


def _ranges(mask: Mask) -> tuple[tuple[int, int], ...]:
    """Return the start and end of each run of true values."""
    # A run starts and ends where the mask changes: starts and ends alternate.
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False)).tolist()
    return tuple(zip(edges[::2], edges[1::2], strict=True))

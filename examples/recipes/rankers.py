"""Programs that rank: each is trained on a case, and then scores all items for users.

A ranker takes a case and settings. It returns a function from rows of the given users, shape (m,),
to the scores of all items, shape (m, n_items). Only their order for a user matters.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, csr_matrix

from mfcli.config import Config
from mfcli.data import Ratings
from mfcli.errors import MfcliWarning
from mfcli.model import fold_in
from mfcli.splits import Split
from mfcli.training import fit

Settings: TypeAlias = dict[str, Any]
Scores: TypeAlias = Callable[[NDArray[np.int32]], NDArray[Any]]
Ranker: TypeAlias = Callable[..., Scores]
Grid: TypeAlias = dict[str, tuple[float, ...]]

PENALTIES = (10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)  # of EASE


@dataclass(frozen=True)
class Case:
    """What rankers are trained on, and what they are measured on, with the same items.

    Attributes
    ----------
    split : Split
        With the training ratings.
    given : Ratings
        What is known about the users to rank for: the training ratings, or those of other users.
    held_out : Ratings
        Other ratings of these users.
    """

    split: Split
    given: Ratings
    held_out: Ratings

    @property
    def has_new_users(self) -> bool:
        """Whether the users to rank for have no training ratings."""
        return self.given is not self.split.train


def mfcli(case: Case, config: Config) -> Scores:
    """Train a model of mfcli; new users are folded in."""
    with warnings.catch_warnings():
        # Validation does not compare epochs if the held-out users are new, but no epoch is chosen.
        warnings.simplefilter("ignore", MfcliWarning)
        model = fit(case.split, config).model
    if case.has_new_users:
        model = fold_in(model, case.given).model
    rows = model.users.rows(case.given.users.ids)
    factors, biases = model.item_factors.T, model.item_biases
    # mu and the biases of users do not change the order.
    return lambda users: model.user_factors[rows[users]] @ factors + biases


def popular(case: Case) -> Scores:
    """Rank by the number of training ratings; ties go to the lower row."""
    counts = case.split.train.items.counts
    places = np.empty(len(counts))
    places[np.argsort(-counts, kind="stable")] = -np.arange(len(counts))
    return lambda users: np.tile(places, (len(users), 1))


def ease(case: Case, *, penalty: float, power: float) -> Scores:
    """EASE, a linear model of items (H. Steck, "Embarrassingly shallow autoencoders", WWW 2019).

    With the matrix X of ratings, 0 for unrated items, and P = (X'X + penalty I)^-1, the scores are
    X B where B = I - P diag(P)^-1. With fewer users than items, and M = (XX' + penalty I)^-1, the
    same P is (I - X' M X) / penalty.

    Parameters
    ----------
    case : Case
    penalty : float
    power : float
        Of the ratings divided by the largest; 0 counts each rating as 1, as in the paper.
    """
    highest = case.split.scale.max
    x = _matrix(case.split.train, highest, power)
    given = _matrix(case.given, highest, power) if case.has_new_users else x
    users, items = x.shape
    if users > items:
        p = np.linalg.inv((x.T @ x).toarray() + penalty * np.eye(items))
        return lambda rows: given[rows].toarray() - given[rows] @ (p / np.diag(p))
    mx = np.linalg.inv((x @ x.T).toarray() + penalty * np.eye(users)) @ x  # (users, items)
    diagonal = (1 - x.multiply(mx).sum(axis=0)) / penalty

    def scores(rows: NDArray[np.int32]) -> NDArray[Any]:
        some = given[rows].toarray()
        # Few of the products of users are 0, so they are multiplied as a dense matrix.
        return some - (some - (given[rows] @ x.T).toarray() @ mx) / (penalty * diagonal)

    return scores


def implicit(case: Case, *, factors: int, regularization: float, alpha: float) -> Scores:
    """ALS of implicit, with confidences of alpha times the rating."""
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):  # as its documentation asks
        model = AlternatingLeastSquares(
            factors, regularization=regularization, alpha=alpha, random_state=0
        )
        model.fit(csr_matrix(_matrix(case.split.train, 1, 1)), show_progress=False)
        rows = model.user_factors
        if case.has_new_users:
            given = csr_matrix(_matrix(case.given, 1, 1))
            rows = model.recalculate_user(np.arange(given.shape[0]), given)
    return lambda users: rows[users] @ model.item_factors.T


def _matrix(ratings: Ratings, highest: float, power: float) -> csr_array:
    """Return a power of the ratings divided by the largest, shape (n_users, n_items)."""
    values = (ratings.rating / np.float32(highest)) ** np.float32(power)
    shape = len(ratings.users), len(ratings.items)
    return csr_array((values, (ratings.user, ratings.item)), shape)


GRIDS: dict[str, tuple[Ranker, Grid]] = {
    "EASE": (partial(ease, power=0.0), {"penalty": PENALTIES}),
    "EASE on ratings": (ease, {"penalty": PENALTIES, "power": (1.0, 2.0)}),
    "implicit ALS": (
        implicit,
        {"factors": (64, 128), "regularization": (3, 10, 30, 100), "alpha": (0.5, 2, 8)},
    ),
}
"""Other programs, with the values of each setting from which one is chosen on validation."""


def combinations(grid: Grid) -> Iterator[Settings]:
    """Yield every combination of values."""
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))

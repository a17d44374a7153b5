"""Rows of users and items that are estimated from ratings; see `row_equations.py`.

Items are first, given the users that the model knows. Users are second, given all items. One more
pass, in which new users change the rows of new items, made predictions for new users worse (see
`examples/new_items.py`), so ratings of an item by new users alone do not give it a row.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mfcli.data import Ratings, Vocabulary, counts_of
from mfcli.model.model import Model
from mfcli.model.row_equations import RowEquations, equal_counts
from mfcli.storage import one_blas_thread
from mfcli.types import Mask, Rows


@one_blas_thread()
def with_estimated_rows(
    model: Model, ratings: Ratings, users: Mask, noise: float | None = None
) -> Model:
    """Estimate the rows of items that a model does not know, and then those of some users.

    The estimate of an item depends on its ratings by users that the model knows, and on nothing
    else in `ratings`; that of a user, on the ratings of that user and on the items. Neither depends
    on the order of the ratings.

    Parameters
    ----------
    model : Model
        With a count of zero for each user and item that it does not know.
    ratings : Ratings
        In the rows of the model, at most one for each pair: at least all ratings of these users and
        of these items. Others are not used, and take time.
    users : bool array, shape (n_users,)
        The users to estimate. The model may know some of them. These count as known for the items.
    noise : float, optional
        As for `fold_in`.

    Returns
    -------
    Model
        The counts of the estimated rows are the numbers of ratings that they were estimated from;
        rows without any are zero.

    Raises
    ------
    DataError
        If weights are so extreme that ratings do not determine a row.
    ArtifactError
        If the model has no validation error and `noise` is needed and not given.
    """
    known = model.items.counts > 0
    of_items = _between(ratings, model.users.counts > 0, ~known)
    estimated = _estimated(model, "item", of_items, ~known, noise) if len(of_items) else model
    # The Gram matrix of pairs that nobody rated stays that of the trained items, so `model`, with
    # its counts, makes the equations.
    known = estimated.items.counts > 0
    of_users = _between(ratings, users, known)
    with_items = model.with_tables(estimated.tables)
    found = _estimated(with_items, "user", of_users, users, noise)
    return replace(found, items=estimated.items)


def _between(ratings: Ratings, users: Mask, items: Mask) -> Ratings:
    """Return the ratings of some items by some users."""
    # `take` is faster than an index, and few ratings remain after the first one.
    first, second = sorted([(users, ratings.user), (items, ratings.item)], key=_share)
    rows = np.flatnonzero(first[0].take(first[1]))
    return ratings.take(rows[second[0].take(second[1][rows])])


def _share(chosen: tuple[Mask, Rows]) -> float:
    return float(np.mean(chosen[0]))


def _estimated(
    model: Model, side: str, ratings: Ratings, chosen: Mask, noise: float | None
) -> Model:
    """Estimate the chosen rows of a side from all of these ratings."""
    equations = RowEquations.of(model, side, noise)
    names = f"{side}_factors", f"{side}_biases"
    factors, biases = (model.tables[name].copy() for name in names)
    factors[chosen], biases[chosen] = 0, 0
    for rows, positions in equal_counts(ratings, len(equations.mean), side):
        found = equations.rows(ratings, positions)
        factors[rows], biases[rows] = found[:, :-1], found[:, -1]
    old = model.side(side)
    counts = np.where(chosen, counts_of(getattr(ratings, side), len(old)), old.counts)
    changes: dict[str, Any] = {names[0]: factors, names[1]: biases}
    changes[f"{side}s"] = Vocabulary(old.ids, counts)
    return replace(model, **changes)

"""Ratings that a model was trained on, of users who have new ones."""

from __future__ import annotations

import functools

import numpy as np
import pyarrow as pa

from mfcli.data import IMPLICIT, Ratings, concatenated, merge_duplicates, to_arrow
from mfcli.errors import DataError
from mfcli.model.model import Model
from mfcli.splits import Split
from mfcli.types import Counts, Rows


def with_earlier_ratings(given: Ratings, model: Model, split: Split, users: Rows) -> Ratings:
    """Put what some users were trained on before their new ratings; each pair stays once.

    Of two ratings of a pair, the later one stays; the new one if there are no times. Strengths of
    events are added.

    Parameters
    ----------
    given : Ratings
        New ratings. The vocabularies begin with the rows of the model.
    model : Model
    split : Split
        The split that the model was trained on.
    users : int32 array, shape (n,)
        Rows of users of the model.

    Raises
    ------
    DataError
        If the split has another number of ratings of a user than the model was trained on, or if
        a sum of strengths does not fit in float32.
    """
    if not len(users):
        return given
    ids = model.users.ids.take(to_arrow(users))
    # A union of parts has only one.
    parts = [split.parts[name] for name in model.trained_on if name in split.parts]
    whole = functools.reduce(concatenated, (_of_users(part, ids) for part in parts))
    earlier = whole.within(given.users, given.items)
    earlier = earlier.take(earlier.item >= 0)  # another split may have other items
    counts = np.bincount(earlier.user, minlength=len(model.users))[users]
    _check_counts(model, users, counts)
    rule = "sum" if model.feedback == IMPLICIT else "keep-last"
    both = concatenated(earlier, given)
    return merge_duplicates(both, rule, lambda row: f"rating {row}").ratings


def _of_users(ratings: Ratings, ids: pa.Array) -> Ratings:
    """Return the ratings by some users."""
    chosen = np.zeros(len(ratings.users) + 1, np.bool_)  # the last one is that of unknown users
    chosen[ratings.users.rows(ids)] = True
    chosen[-1] = False
    rows, start = [np.empty(0, np.int64)], 0
    for piece in ratings.pieces("user"):
        rows.append(np.flatnonzero(chosen[piece]) + start)
        start += len(piece)
    return ratings.take(np.concatenate(rows))


def _check_counts(model: Model, users: Rows, counts: Counts) -> None:
    trained = model.users.counts[users]
    wrong = np.flatnonzero(counts != trained)
    if len(wrong):
        user = model.users.ids[int(users[wrong[0]])].as_py()
        raise DataError(
            f"has {counts[wrong[0]]:,} ratings of user {user!r}, but the model was trained on"
            f" {trained[wrong[0]]:,}",
            place="split",
            remedy="give the split that the model was trained on",
        )

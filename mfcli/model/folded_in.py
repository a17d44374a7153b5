"""Fold-in: users and items that are estimated from ratings. The rest of a model does not change.

Least squares would fit a few ratings without error and predict badly. A row is therefore the one
that training would give (als), or it is assumed to be similar to the trained rows of its side; see
`row_equations.py`.
"""

from __future__ import annotations

import dataclasses
import numbers
from dataclasses import dataclass
from typing import Any

import numpy as np

from mfcli.arguments import check_type
from mfcli.data import Ratings, RatingsLike, Vocabulary, as_ratings, common_feedback, to_arrow
from mfcli.errors import DataError, Param, Text, UsageError
from mfcli.model import folded_samples
from mfcli.model.added_rows import enlarged, with_folded_in
from mfcli.model.earlier_ratings import with_earlier_ratings
from mfcli.model.model import Model
from mfcli.model.row_distribution import is_folded_in
from mfcli.model.row_equations import are_trained
from mfcli.model.row_estimates import with_estimated_rows
from mfcli.splits import Split
from mfcli.types import Floats, Mask, Rows


@dataclass(frozen=True)
class FoldedIn:
    """Users and items estimated from ratings.

    Attributes
    ----------
    model : Model
        The model, with the new items, and with these users in place of its own, in the order of the
        ratings file. Counts are the numbers of ratings that a row was estimated from; users without
        any have zero factors and bias.
    basis : Model
        The model that users were estimated with: its own users, and the new items.
    rated : Ratings
        What the users have rated, in rows of `model`, without ratings of unknown items.
    items : int32 array
        Rows of the new items in `model`: those that it did not know, and that users whom it knew
        have rated.
    unknown_items, unknown_ratings : int
        Number of the other items that the model did not know, and of their ratings. They are not
        used.
    replaced : int
        Number of these users that the model already knew.
    """

    model: Model
    basis: Model
    rated: Ratings
    items: Rows
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
            "items": len(self.items),
            "item_ratings": int(self.model.items.counts[self.items].sum()),
            "unknown_ratings": self.unknown_ratings,
            "unknown_items": self.unknown_items,
        }


def fold_in(
    model: Model,
    ratings: RatingsLike,
    noise: float | None = None,
    *,
    split: Split | None = None,
    replace: bool = False,
) -> FoldedIn:
    """Estimate users, and items that the model does not know, from ratings.

    Items are estimated first, from their ratings by users that the model knows. Users are estimated
    second, from all of their ratings of items that have a row by then. An estimate does not depend
    on the order of the ratings; that of a user does not depend on ratings by new users.

    Parameters
    ----------
    model : Model
    ratings : Ratings, or what `ratings_from` takes
        With vocabularies that may differ from those of the model, which are matched by raw ids.
        Users without ratings are ignored. For a model of events, each row may be an event.
    noise : float, optional
        Variance of a rating around its prediction, in squared rating units; by default the model's
        mean squared error on validation ratings, or on training ratings if none were held out or
        it predicts scores. Not for als.
    split : Split, optional
        The split that the model was trained on. Users with training ratings are estimated from
        these (of all parts if the model was trained on all) and from `ratings`. Of two ratings of a
        pair, the later one counts; that in `ratings` if there are no times. Strengths of events are
        added.
    replace : bool
        Estimate users with training ratings, and items that were folded in before, from `ratings`
        alone.

    Returns
    -------
    FoldedIn

    Raises
    ------
    DataError
        If the model has training ratings of a user and neither `split` nor `replace` is given, if
        the split has other ratings of such a user, if the model was trained on ratings and these
        are events, or the other way round, or if weights are so extreme that ratings do not
        determine a row.
    ArtifactError
        If the model has no such error and `noise` is not given.
    UsageError
        If an argument has another type, or the noise is negative or not used, or both `split` and
        `replace` are given.
    """
    check_type(model, Model, "model", "load one with Model.load, or train one with fit")
    _check_split(split, replace)
    ratings = as_ratings(ratings, "ratings", model.feedback).without_empty()
    common_feedback({"the model": model.feedback, "ratings": ratings.feedback})
    _check_noise(noise, model)
    known = known_users(model, ratings)
    if not replace:
        _check_known(model, ratings.users, known, split)
    larger, users, given = _in_larger_rows(model, ratings, known, renew=replace)
    used = given.take(given.item >= 0)
    if split is not None:
        used = with_earlier_ratings(used, model, split, users[known])
    found = with_estimated_rows(larger, used, _mask(users, len(larger.users)), noise)
    items = np.flatnonzero((larger.items.counts == 0) & (found.items.counts > 0)).astype(np.int32)
    basis = with_folded_in(model, "item", *_rows_of(found, "item", items))
    estimated = _with_users(basis, found, ratings.users, users)
    is_unknown = (given.item < 0) | (found.items.counts[given.item] == 0)
    return FoldedIn(
        model=estimated,
        basis=basis,
        rated=_in_rows_of(estimated, used, users),
        items=items,
        unknown_items=len(np.unique(ratings.item[is_unknown])),
        unknown_ratings=int(is_unknown.sum()),
        replaced=int(known.sum()),
    )


def extended(model: Model, folded: FoldedIn) -> Model:
    """Add folded-in users and items to a model.

    Ids that are already in a vocabulary keep their row and get the new estimate and count. If the
    ids of one are text and those of the other are integers, all become text. What was folded in
    does not influence the distributions that later estimates assume.

    Raises
    ------
    UsageError
        If an argument has another type.
    """
    check_type(model, Model, "model", "load one with Model.load, or train one with fit")
    check_type(folded, FoldedIn, "folded", "make it with fold_in")
    users = np.arange(len(folded.model.users), dtype=np.int32)
    samples = model.samples
    for side, rows in (("user", users), ("item", folded.items)):
        model = with_folded_in(model, side, *_rows_of(folded.model, side, rows))
    if samples:
        rated = folded.rated.within(model.users, model.items)
        made = folded_samples.with_folded_in(samples, model, rated)
        model = dataclasses.replace(model, samples=made)
    return model


def known_users(model: Model, ratings: Ratings) -> Mask:
    """Return which users in the vocabulary of some ratings have ratings in a model, too."""
    rows = model.users.rows(ratings.users.ids)
    return (rows >= 0) & (model.users.counts[rows] > 0)


def _check_split(split: Split | None, replace: bool) -> None:
    if split is None:
        return
    check_type(split, Split, "split", "make one with split(ratings), or read it with read_split")
    if replace:
        remedy: Text = ["omit it or ", Param("replace", True)]
        raise UsageError("is not used with replace", param="split", remedy=remedy)


def _check_noise(noise: float | None, model: Model) -> None:
    if noise is None:
        return
    if not (isinstance(noise, numbers.Real) and noise >= 0):
        raise UsageError("must be a number of at least 0", param="noise", value=noise)
    if are_trained(model):
        rule = "is not used for models trained with als"
        raise UsageError(rule, param="noise", value=noise, remedy="omit it")


def _check_known(model: Model, users: Vocabulary, known: Mask, split: Split | None) -> None:
    """Refuse users of the model if their earlier ratings are not at hand."""
    is_lost = known.copy()
    if split is not None:  # which has no ratings of users that were folded in
        is_lost &= is_folded_in(model, "user")[model.users.rows(users.ids)]
    if not is_lost.any():
        return
    user = users.ids[int(np.argmax(is_lost))].as_py()
    if split is not None:
        rule = f"user {user!r} was folded in, and the split lacks the earlier ratings"
        whole: Text = [
            "estimate such users from all of their ratings with ",
            Param("replace", True),
        ]
        raise DataError(rule, remedy=whole)
    rule = f"user {user!r} is in the model already"
    remedy: Text = [
        "give the split that it was trained on with ", Param("split"), ", or estimate such users"
        " from these ratings alone with ", Param("replace", True),
    ]  # fmt: skip
    raise DataError(rule, remedy=remedy)


def _in_larger_rows(
    model: Model, ratings: Ratings, known: Mask, *, renew: bool
) -> tuple[Model, Rows, Ratings]:
    """Add rows of zeros for new ids, and return the users' rows and the ratings in these rows.

    New items that no known user has rated have no row (-1).
    """
    rows = model.items.rows(ratings.items.ids)
    rated = ratings.items.counting(ratings.item[known[ratings.user]]).counts > 0
    new = np.flatnonzero((rows < 0) & rated)
    ids = ratings.items.ids.take(to_arrow(new))
    larger, users = enlarged(model, "user", ratings.users)
    larger, _ = enlarged(larger, "item", Vocabulary(ids, np.zeros(len(new), np.int64)))
    if renew:  # items that were folded in are new again
        counts, again = larger.items.counts.copy(), rows[rated & (rows >= 0)]
        counts[again[is_folded_in(model, "item")[again]]] = 0
        larger = dataclasses.replace(larger, items=Vocabulary(larger.items.ids, counts))
    given = dataclasses.replace(
        ratings,
        user=users[ratings.user],
        item=larger.items.rows(ratings.items.ids)[ratings.item],
        users=larger.users,
        items=larger.items,
    )
    return larger, users, given


def _mask(rows: Rows, size: int) -> Mask:
    mask = np.zeros(size, np.bool_)
    mask[rows] = True
    return mask


def _rows_of(model: Model, side: str, rows: Rows) -> tuple[Vocabulary, Floats, Floats]:
    """Return ids with counts, factors and biases of some rows."""
    vocabulary = model.side(side)
    some = Vocabulary(vocabulary.ids.take(to_arrow(rows)), vocabulary.counts[rows])
    return some, model.tables[f"{side}_factors"][rows], model.tables[f"{side}_biases"][rows]


def _with_users(basis: Model, found: Model, users: Vocabulary, rows: Rows) -> Model:
    """Return a model with these users alone, whose estimates are in some rows of `found`."""
    some, factors, biases = _rows_of(found, "user", rows)
    return dataclasses.replace(
        basis,
        users=Vocabulary(users.ids, some.counts),  # ids as in the ratings
        user_factors=factors,
        user_biases=biases,
        folded_in=((0, len(users)),),
    )


def _in_rows_of(model: Model, rated: Ratings, users: Rows) -> Ratings:
    """Return ratings in the rows of a model; its users are those in some rows of the ratings."""
    position = np.zeros(len(rated.users), np.int32)
    position[users] = np.arange(len(users), dtype=np.int32)
    return dataclasses.replace(
        rated, user=position[rated.user], users=model.users, items=model.items
    )

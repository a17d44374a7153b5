"""The protocols of rankings: for each user, which items are ranked and which are relevant.

Strong generalization is the protocol of D. Liang et al., "Variational autoencoders for
collaborative filtering", WWW 2018. Leave-last-out is that of X. He et al., "Neural collaborative
filtering", WWW 2017, but with all items instead of a sample (W. Krichene and S. Rendle, "On sampled
metrics for item recommendation", KDD 2020).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from mfcli.config import Config
from mfcli.data import Ratings, pieces_of
from mfcli.errors import DataError, Param, Text, warn
from mfcli.model import Model, RatedParts, RatingPieces, fold_in
from mfcli.rankings import RelevantItems
from mfcli.storage import array_type, check_memory, kernel
from mfcli.types import Counts, Mask, Rows

UNRATED = "all items that the user has not rated in training"
LAST = "all items that the user has not rated before; relevant: the last one only"
STRONG = "all items but those of the user's ratings that are folded in"

_FOLDED_IN = 80  # bytes for each rating of a user who is folded in


@dataclass(frozen=True)
class RankingTask:
    """What is ranked for whom.

    Attributes
    ----------
    model : Model
        Its users are those to rank for; rows below are rows of this model.
    known : RatingPieces
        The ratings from which each user is known.
    excluded : RatingPieces
        The pairs that are not ranked.
    liked : RelevantItems
    relevant_share : float
        Fraction of the measured ratings that are relevant.
    candidates : str
        The same in words.
    """

    model: Model
    known: RatingPieces
    excluded: RatingPieces
    liked: RelevantItems
    relevant_share: float
    candidates: str


def ranking_task(
    model: Model, ratings: Ratings, train: Ratings, config: Config, relevant: float | None
) -> RankingTask:
    """Prepare the protocol that a config asks for.

    Parameters
    ----------
    model : Model
    ratings : Ratings
        To measure on; any vocabularies.
    train : Ratings
        Any vocabularies.
    config : Config
        Its `protocol`, `fold_in_fraction` and `seed` are used.
    relevant : float or None
        Smallest rating of a relevant item; None if every item is relevant. Not used by
        "leave-last-out".

    Warns
    -----
    MfcliWarning
        If no user to rank for has training ratings.

    Raises
    ------
    DataError
        If no rating is relevant, the ratings have no times, or no user is held out as a whole.
    """
    if config.protocol == "leave-last-out":
        return _last(model, ratings, train)
    if config.protocol == "strong-generalization":
        return _strong(model, ratings, train, config, relevant)
    known = RatedParts((train,), model.users, model.items)
    liked = _relevant(model, ratings, known, relevant)
    _warn_of_new_users(known, liked)
    return RankingTask(model, known, known, liked, _share(ratings, relevant), UNRATED)


def _warn_of_new_users(known: RatedParts, liked: RelevantItems) -> None:
    """Warn if all users are new, as with a split by users: they get the same ranking."""
    if not activity_of(liked.users, known).any():
        warn(
            "no ranked user has training ratings, so all get the same ranking",
            remedy=["fold part of their ratings in with ",
                    Param("protocol", "strong-generalization")],
        )  # fmt: skip


def _last(model: Model, ratings: Ratings, train: Ratings) -> RankingTask:
    if ratings.timestamp is None:
        raise DataError(
            "the ratings have no timestamps, so no rating is a user's last one",
            remedy=["use ", Param("protocol", "unrated"), ", or split again with ",
                    Param("columns.timestamp")],
        )  # fmt: skip
    is_last = _last_of_each(ratings, ratings.timestamp)
    known = RatedParts((train,), model.users, model.items)
    liked = _relevant(model, ratings.take(is_last), known, None)
    earlier = _Chosen(RatedParts((ratings,), model.users, model.items), ~is_last)
    share = float(np.mean(is_last))
    return RankingTask(model, known, _Joined(known, earlier), liked, share, LAST)


def _last_of_each(ratings: Ratings, times: NDArray[np.int64]) -> Mask:
    """Mark the last rating of each user; of several at the same time, the last one in order."""
    last = np.full(len(ratings.users), -1, np.int64)
    latest, start = np.zeros_like(last), 0
    for user, time in zip(ratings.pieces("user"), pieces_of(times), strict=True):
        find_last(user, time, start, last, latest)
        start += len(user)
    is_last = np.zeros(len(ratings), np.bool_)
    is_last[last[last >= 0]] = True
    return is_last


@kernel(array_type(types.int32, 1, readonly=True), array_type(types.int64, 1, readonly=True),
        types.int64, array_type(types.int64, 1), array_type(types.int64, 1))  # fmt: skip
def find_last(users: Any, times: Any, start: Any, last: Any, latest: Any) -> None:
    """Set the position of the last rating of each user, counted from `start`, and its time."""
    for n in range(len(users)):
        user = users[n]
        if last[user] < 0 or times[n] >= latest[user]:
            last[user], latest[user] = start + n, times[n]


@dataclass(frozen=True)
class _Chosen:
    """Some of the ratings in pieces."""

    ratings: RatedParts
    mask: Mask

    @property
    def size(self) -> int:
        return self.ratings.size

    @property
    def names(self) -> tuple[str, ...]:
        return self.ratings.names

    def pieces(self, *names: str) -> Iterator[tuple[NDArray[Any], ...]]:
        start = 0
        for columns in self.ratings.pieces(*names):
            mask = self.mask[start : start + len(columns[0])]
            start += len(mask)
            yield tuple(column[mask] for column in columns)


@dataclass(frozen=True)
class _Joined:
    """Ratings in pieces, followed by others."""

    first: RatingPieces
    second: RatingPieces

    @property
    def size(self) -> int:
        return self.first.size

    @property
    def names(self) -> tuple[str, ...]:
        return self.first.names

    def pieces(self, *names: str) -> Iterator[tuple[NDArray[Any], ...]]:
        yield from self.first.pieces(*names)
        yield from self.second.pieces(*names)


def _strong(
    model: Model, ratings: Ratings, train: Ratings, config: Config, relevant: float | None
) -> RankingTask:
    counts, held = _ratings_by_user(train), _ratings_by_user(ratings)
    rows = train.users.rows(ratings.users.ids)
    is_new = ((rows < 0) | (counts[rows] == 0)) & (held > 1)
    remedy: Text = ["use ", Param("protocol", "unrated")]
    check_memory(_FOLDED_IN * held[is_new].sum(), "folding in the held-out users", remedy)
    new = ratings.take(is_new[ratings.user])
    if not len(new):
        raise DataError(
            "no user with at least two ratings is held out as a whole",
            remedy=["split with ", Param("strategy", "cold-user"), ", or use ",
                    Param("protocol", "unrated")],
        )  # fmt: skip
    given = _drawn(new, config.fold_in_fraction, np.random.default_rng(config.seed))
    # `replace`: a model that was trained on another split may know some of the users.
    folded = fold_in(model, new.take(given), replace=True)
    known = RatedParts((folded.rated,), folded.model.users, folded.model.items)
    rest = new.take(~given)
    liked = _relevant(folded.model, rest, known, relevant)
    return RankingTask(folded.model, known, known, liked, _share(rest, relevant), STRONG)


def _drawn(ratings: Ratings, fraction: float, rng: np.random.Generator) -> Mask:
    """Draw a fraction of each user's ratings, at least one and not all; users have at least two."""
    order = np.lexsort((rng.random(len(ratings)), ratings.user))
    counts = np.bincount(ratings.user, minlength=len(ratings.users))
    rank = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    # Users without ratings come up nowhere.
    most = np.clip(np.round(fraction * counts), 1, np.maximum(counts - 1, 1))
    drawn = np.empty(len(order), np.bool_)
    drawn[order] = rank < np.repeat(most, counts)
    return drawn


def _ratings_by_user(ratings: Ratings) -> Counts:
    counts = np.zeros(len(ratings.users), np.int64)
    for user in ratings.pieces("user"):
        counts += np.bincount(user, minlength=len(counts))
    return counts


def activity_of(users: Rows, known: RatingPieces) -> Counts:
    """Return the number of ratings of known items from which each user is known.

    Parameters
    ----------
    users : int32 array, shape (m,)
        Rows of the model, -1 for unknown users.
    known : RatingPieces
    """
    counts = np.zeros(known.size + 1, np.int64)  # the last one is that of the row -1
    for user, item in known.pieces("user", "item"):
        counts += np.bincount(user[(user >= 0) & (item >= 0)], minlength=len(counts))
    return counts[users]


def _relevant(
    model: Model, ratings: Ratings, known: RatedParts, relevant: float | None
) -> RelevantItems:
    remedy: Text = ["lower ", Param("relevant")]
    if relevant is None:
        remedy = "measure on other ratings"
    elif model.predicts == "ratings":
        remedy = ["lower ", Param("relevant"), ", or omit ", Param("ranking")]
    return RelevantItems.of(ratings, known, relevant=relevant, remedy=remedy)


def _share(ratings: Ratings, relevant: float | None) -> float:
    if relevant is None:
        return 1.0
    count = sum(int(np.count_nonzero(r >= relevant)) for r in ratings.pieces("rating"))
    return count / len(ratings)

"""The protocols of rankings: for each user, which items are ranked and which are relevant.

Strong generalization is the protocol of D. Liang et al., "Variational autoencoders for
collaborative filtering", WWW 2018. Leave-last-out is that of X. He et al., "Neural collaborative
filtering", WWW 2017, but with all items instead of a sample (W. Krichene and S. Rendle, "On sampled
metrics for item recommendation", KDD 2020).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mfcli.config import Config
from mfcli.data import Ratings
from mfcli.errors import DataError, Param, Text, warn
from mfcli.model import Model, Rated, fold_in
from mfcli.rankings import RelevantItems
from mfcli.types import Mask

UNRATED = "all items that the user has not rated in training"
LAST = "all items that the user has not rated before; relevant: the last one only"
STRONG = "all items but those of the user's ratings that are folded in"


@dataclass(frozen=True)
class RankingTask:
    """What is ranked for whom.

    Attributes
    ----------
    model : Model
        Its users are those to rank for; rows below are rows of this model.
    known : Rated
        The ratings from which each user is known.
    excluded : Rated
        The items that are not ranked.
    liked : RelevantItems
    relevant_share : float
        Fraction of the measured ratings that are relevant.
    candidates : str
        The same in words.
    """

    model: Model
    known: Rated
    excluded: Rated
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
    known = Rated.of(train.within(model.users, model.items))
    liked = _relevant(model, ratings, known, relevant)
    _warn_of_new_users(known, liked)
    return RankingTask(model, known, known, liked, _share(ratings, relevant), UNRATED)


def _warn_of_new_users(known: Rated, liked: RelevantItems) -> None:
    """Warn if all users are new, as with a split by users: they get the same ranking."""
    if not np.diff(known.starts)[liked.users].any():  # row -1 is any unknown user
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
    own, is_last = train.within(model.users, model.items), _last_of_each(ratings, ratings.timestamp)
    known = Rated.of(own)
    earlier = ratings.take(~is_last).within(model.users, model.items)
    liked = _relevant(model, ratings.take(is_last), known, None)
    share = float(np.mean(is_last))
    return RankingTask(model, known, Rated.of(own, earlier), liked, share, LAST)


def _last_of_each(ratings: Ratings, times: NDArray[np.int64]) -> Mask:
    """Mark the last rating of each user; of several at the same time, the last one in order."""
    order = np.lexsort((times, ratings.user))
    is_last = np.zeros(len(ratings), np.bool_)
    is_last[order] = np.append(np.diff(ratings.user[order]) != 0, True)
    return is_last


def _strong(
    model: Model, ratings: Ratings, train: Ratings, config: Config, relevant: float | None
) -> RankingTask:
    counts = np.bincount(train.user, minlength=len(train.users))
    rows = train.users.rows(ratings.users.ids)
    is_new = (rows < 0) | (counts[rows] == 0)
    held = np.bincount(ratings.user, minlength=len(is_new))
    new = ratings.take((is_new & (held > 1))[ratings.user])
    if not len(new):
        raise DataError(
            "no user with at least two ratings is held out as a whole",
            remedy=["split with ", Param("strategy", "cold-user"), ", or use ",
                    Param("protocol", "unrated")],
        )  # fmt: skip
    given = _drawn(new, config.fold_in_fraction, np.random.default_rng(config.seed))
    # `replace`: a model that was trained on another split may know some of the users.
    folded = fold_in(model, new.take(given), replace=True)
    known = Rated.of(folded.rated)
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


def _relevant(
    model: Model, ratings: Ratings, known: Rated, relevant: float | None
) -> RelevantItems:
    remedy: Text = ["lower ", Param("relevant")]
    if relevant is None:
        remedy = "measure on other ratings"
    elif model.predicts == "ratings":
        remedy = ["lower ", Param("relevant"), ", or omit ", Param("ranking")]
    return RelevantItems.of(
        ratings, model.users, model.items, known, relevant=relevant, remedy=remedy
    )


def _share(ratings: Ratings, relevant: float | None) -> float:
    return 1.0 if relevant is None else float(np.mean(ratings.rating >= relevant))

"""Whether a model that predicts ratings ranks items at least as well as popularity does."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from mfcli.data import Ratings
from mfcli.errors import DataError
from mfcli.model import Model, RatedParts, of_users
from mfcli.rankings import RankedValidation
from mfcli.splits import Split
from mfcli.types import Mask

_USERS = 1000  # a sample that takes a fraction of a second
_AT = 10
_PARTS = ("test", "valid")  # in this order


class RankingQuality(NamedTuple):
    """Mean NDCG of lists of ten items, for a sample of the trained users.

    Attributes
    ----------
    model : float
    popular : float
        Of the items with most training ratings.
    part : str
        The part of the split that they were measured on.
    """

    model: float
    popular: float
    part: str


def ranking_quality(
    model: Model, split: Split, relevant: float, threads: int = 1
) -> RankingQuality | None:
    """Compare the rankings of a model with popularity on ratings of its split that are new to it.

    Parameters
    ----------
    model : Model
        Trained on the split; users may have been added.
    split : Split
    relevant : float
        Smallest rating of a relevant item.
    threads : int
        Does not change the result.

    Returns
    -------
    RankingQuality or None
        None if there are no such ratings, or none of the sample is relevant.
    """
    names = [name for name in _PARTS if name in split.parts and name not in model.trained_on]
    if not names:
        return None
    trained = np.flatnonzero(split.train.users.counts)
    is_drawn = np.zeros(len(split.train.users), np.bool_)
    rng = np.random.default_rng(0)
    is_drawn[rng.choice(trained, min(_USERS, len(trained)), replace=False)] = True
    # Only the ratings of the sample: all of them may be many.
    held_out, train = (_of_users(part, is_drawn) for part in (split.parts[names[0]], split.train))
    try:
        validation = RankedValidation(held_out, train, at=_AT, relevant=relevant, threads=threads)
    except DataError:
        return None
    own, popular = (validation.measures(one)["ndcg"] for one in (model, _popularity(model)))
    return RankingQuality(own, popular, names[0])


def _of_users(ratings: Ratings, chosen: Mask) -> Ratings:
    """Copy the ratings of some users, without times and weights."""
    rows = np.where(chosen, np.arange(len(chosen), dtype=np.int32), np.int32(-1))
    found = of_users(RatedParts.of(ratings), rows)
    columns = {name: found[name] for name in ("user", "item", "rating")}
    return replace(ratings, timestamp=None, weight=None, **columns)


def _popularity(model: Model) -> Model:
    """Return a model that ranks items by their numbers of training ratings."""
    tables = {name: np.zeros((len(table), 1), np.float32) for name, table in model.tables.items()}
    biases = np.zeros(len(model.users), np.float32), model.items.counts.astype(np.float32)
    return model.with_tables(
        tables | dict(zip(("user_biases", "item_biases"), biases, strict=True))
    )

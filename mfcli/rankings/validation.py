"""Measure how well models rank held-out items, again and again during training or a search."""

from __future__ import annotations

import numpy as np

from mfcli.data import Ratings
from mfcli.errors import Param, Text
from mfcli.model import Model, Rated, RatedParts, top_items
from mfcli.rankings.formulas import USER_FORMULAS, RankedHits
from mfcli.rankings.relevant_items import RelevantItems
from mfcli.types import Doubles

VALIDATION_MEASURES = ("ndcg", "recall", "map")
"""The measures that validation can follow."""

_BLOCK = 1 << 14  # users ranked at a time


class RankedValidation:
    """Measures how well models rank the held-out items of users.

    For each user, all items are ranked that are not among the user's training ratings. What does
    not depend on the model is prepared once. The values are those of `evaluate` for the same users.

    Parameters
    ----------
    held_out : Ratings
        To validate on; any vocabularies.
    train : Ratings
        Its pairs are not ranked. The models must have its vocabularies.
    at : int
        Ranking cutoff.
    relevant : float, optional
        Smallest rating of a relevant item; by default, every held-out item is relevant.
    threads : int
        Does not change the result.
    most_users : int, optional
        Measure a random sample of at most this number of users; by default all.
    seed : int
        Of the sample.

    Attributes
    ----------
    users : int
        Number of users measured.

    Raises
    ------
    DataError
        If no rating is relevant.
    """

    def __init__(
        self,
        held_out: Ratings,
        train: Ratings,
        *,
        at: int,
        relevant: float | None = None,
        threads: int = 1,
        most_users: int | None = None,
        seed: int = 0,
    ) -> None:
        self._at, self._threads = at, threads
        remedy: Text = ["split with more ", Param("valid")]
        if relevant is not None:
            remedy = ["lower ", Param("relevant")]
        self._liked = RelevantItems.of(
            held_out,
            RatedParts.of(train),
            relevant=relevant,
            remedy=remedy,
        )
        if most_users is not None:
            self._liked = self._liked.sample(most_users, np.random.default_rng(seed))
        self.users = len(self._liked.users)
        self._rated = Rated.by(self._liked.users, RatedParts.of(train))

    def measures(self, model: Model) -> dict[str, float]:
        """Return the means over the users of the `VALIDATION_MEASURES`."""
        values = np.empty((len(VALIDATION_MEASURES), self.users))
        for start in range(0, self.users, _BLOCK):
            values[:, start : start + _BLOCK] = self._of_block(model, start)
        means = values.mean(axis=1).tolist()
        return dict(zip(VALIDATION_MEASURES, means, strict=True))

    def _of_block(self, model: Model, start: int) -> Doubles:
        users = self._liked.users[start : start + _BLOCK]
        items = top_items(model, users, self._at, exclude=self._rated, threads=self._threads).items
        counts = self._liked.counts[start : start + _BLOCK]
        ranked = RankedHits(self._liked.hits(start, items), counts, self._at)
        return np.stack([USER_FORMULAS[name](ranked) for name in VALIDATION_MEASURES])

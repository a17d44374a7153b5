"""Explain predictions by what the user has rated (Y. Hu, Y. Koren, C. Volinsky, ICDM 2008, 5).

The equations of a user (see `row_equations.py`) are linear in the ratings: with their matrix P,

    z = P^-1 (g + sum a_i d_i),    a_i = c_i (t_i - e_i),

so the prediction for an item j is a sum over the rated items i, and of a part without ratings::

    s_j = e_j + d_j' z = e_j + d_j' P^-1 g + sum a_i d_j' P^-1 d_i

For als, and for new users, this is the prediction of the model. Trained users of other models have
other rows: means of samples (gibbs), or where descent stopped. The sum then explains an estimate of
the prediction, and a warning says so if the estimate is far off.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from mfcli.data import Ratings, Vocabulary, to_arrow
from mfcli.errors import warn
from mfcli.model.folder import StoredModel
from mfcli.model.ranking import Ranking
from mfcli.model.rated_parts import RatingPieces, of_users
from mfcli.model.row_equations import RowEquations, equal_counts
from mfcli.storage import each, one_blas_thread
from mfcli.types import Counts, Doubles, Floats, Rows

_FAR = 0.5  # fraction of the personal part of the predictions that an estimate may miss


@dataclass(frozen=True)
class Explainer:
    """Finds the rated items that contribute most to predictions.

    Attributes
    ----------
    model : StoredModel
        The trained model, without folded-in users.
    ratings : RatingPieces
        What users have rated, in the rows of the model that ranks.
    count : int
        Number of rated items for each prediction.
    """

    model: StoredModel
    ratings: RatingPieces
    count: int

    def of(self, ratings: RatingPieces, count: int) -> Explainer:
        """Return what explains predictions by other ratings; it shares the equations."""
        made = Explainer(self.model, ratings, count)
        made.__dict__["_equations"] = self._equations  # where the cached property keeps it
        return made

    def explained(self, table: pa.Table, ranking: Ranking, found: Explanations) -> pa.Table:
        """Add explanations to the table of a ranking.

        The new columns are `because_1`, `because_1_rating`, `because_1_contribution`, `because_2`
        and so on. They are null where there is no further item that increases the prediction.
        """
        listed, ids = ranking.items >= 0, self.model.items.ids
        for place in range(self.count):
            rows = found.items[listed, place]
            name, is_item = f"because_{place + 1}", rows >= 0
            table = table.append_column(name, ids.take(to_arrow(rows, is_item)))
            for what in ("rating", "contribution"):
                values = getattr(found, f"{what}s")[listed, place]
                table = table.append_column(f"{name}_{what}", to_arrow(values, is_item))
        return table

    @one_blas_thread()
    def explain(
        self,
        ranking: Ranking,
        ratings: RatingPieces | None = None,
        checks: ExplanationChecks | None = None,
        threads: int = 1,
    ) -> Explanations:
        """Explain the predictions of a ranking; the number of threads does not change the result.

        Parameters
        ----------
        ranking : Ranking
        ratings : RatingPieces, optional
            All ratings of these users, and perhaps of others; by default those of the explainer.
        checks : ExplanationChecks, optional
            Counts what the explanations miss.
        threads : int
        """
        equations = self._equations
        # A user may be listed several times.
        users, first, place = np.unique(ranking.of, return_index=True, return_inverse=True)
        listed, rated = ranking.items[first], self._rated_by(users, ratings or self.ratings)
        found = Explanations.empty(listed, self.count)
        blocks = [*equal_counts(rated, len(equations.mean) + listed.shape[1], "user")]

        def task(number: int) -> None:
            own, positions = blocks[number]
            found.set(own, _Contributions.of(equations, listed[own], rated, positions))

        each(task, len(blocks), threads)
        if checks:
            checks.add(found, rated, ranking.scores[first], equations.expected[listed])
        return found.take(place)

    @functools.cached_property
    def _equations(self) -> RowEquations:
        return RowEquations.of(self.model, "user")

    def _rated_by(self, users: Rows, ratings: RatingPieces) -> Ratings:
        """Return the ratings of trained items by some users; the rows are positions in `users`."""
        items = self.model.items
        position = np.full(ratings.size, -1, np.int32)
        position[users] = np.arange(len(users))
        columns = of_users(ratings, position, items.counts > 0)
        known = Vocabulary(to_arrow(np.arange(len(users))), np.zeros(len(users), np.int64))
        known = known.counting(columns["user"])
        return Ratings(timestamp=None, users=known, items=items, **columns)


@dataclass(frozen=True)
class Explanations:
    """The rated items that contribute most to the predictions of m lists of n items.

    Attributes
    ----------
    items : int32 array, shape (m, n, count)
        Rows, those with the largest contribution first; -1 for none. Only items that increase the
        prediction are listed.
    ratings, contributions : float32 arrays, shape (m, n, count)
        The user's ratings of these items, and what they contribute; 0 for none.
    estimates : float64 array, shape (m, n)
        The sum of all contributions and of the part without ratings; NaN without ratings.
    """

    items: Rows
    ratings: Floats
    contributions: Floats
    estimates: Doubles

    @classmethod
    def empty(cls, listed: Rows, count: int) -> Explanations:
        """Return explanations by no items."""
        shape = (*listed.shape, count)
        ratings, parts = np.zeros((2, *shape), np.float32)
        return cls(np.full(shape, -1, np.int32), ratings, parts, np.full(listed.shape, np.nan))

    def set(self, users: Counts, found: _Contributions) -> None:
        """Set the explanations of some users to the largest contributions."""
        items, ratings, parts = found.largest(self.items.shape[2])
        place = users, slice(None), slice(items.shape[2])
        self.items[place], self.ratings[place], self.contributions[place] = items, ratings, parts
        self.estimates[users] = found.estimates

    def take(self, users: Counts) -> Explanations:
        """Select users, in this order."""
        return Explanations(
            self.items[users],
            self.ratings[users],
            self.contributions[users],
            self.estimates[users],
        )


@dataclass(frozen=True)
class _Contributions:
    """All contributions to the predictions of b users who have rated equally many items.

    Attributes
    ----------
    items, ratings : int32 and float32 arrays, shape (b, n_rated)
    parts : float64 array, shape (b, n, n_rated)
    estimates : float64 array, shape (b, n)
    """

    items: Rows
    ratings: Floats
    parts: Doubles
    estimates: Doubles

    @classmethod
    def of(
        cls, equations: RowEquations, listed: Rows, rated: Ratings, positions: Counts
    ) -> _Contributions:
        matrices, rows, pulls = equations.systems(rated, positions)
        # P^-1 d_j for the listed items, shape (b, d, n)
        solutions = equations.solved(matrices, equations.design[listed].transpose(0, 2, 1))
        parts = solutions.transpose(0, 2, 1) @ rows.transpose(0, 2, 1)
        parts *= pulls[:, None, :]
        constant = equations.expected[listed] + equations.shift @ solutions
        estimates = np.where(listed >= 0, constant + parts.sum(axis=2), np.nan)
        return cls(rated.item[positions], rated.rating[positions], parts, estimates)

    def largest(self, count: int) -> tuple[Rows, Floats, Doubles]:
        """Return items, ratings and parts of the largest contributions, shape (b, n, count)."""
        # Stable, so that of equal contributions the lower row comes first.
        best = np.argsort(-self.parts, axis=2, kind="stable")[:, :, :count]
        parts = np.take_along_axis(self.parts, best, axis=2)
        items, ratings = (
            np.take_along_axis(values[:, None, :], best, axis=2)
            for values in (self.items, self.ratings)
        )
        shown = (parts > 0) & np.isfinite(self.estimates)[:, :, None]
        return np.where(shown, items, -1), np.where(shown, ratings, 0), np.where(shown, parts, 0)


class ExplanationChecks:
    """Counts what explanations miss, for several rankings of different users."""

    def __init__(self) -> None:
        self._users, self._missing, self._predictions = 0, 0, 0
        self._missed: list[Doubles] = []
        self._personal: list[Doubles] = []

    def add(self, found: Explanations, rated: Ratings, scores: Floats, expected: Doubles) -> None:
        """Add the explanations of a ranking by some ratings.

        Parameters
        ----------
        found : Explanations
        rated : Ratings
        scores : float32 array, shape (m, n)
            The predictions.
        expected : float64 array, shape (m, n)
            Without what the ratings say about the users.
        """
        self._users += len(rated.users)
        self._missing += int(np.count_nonzero(rated.users.counts == 0))
        known = np.isfinite(found.estimates)
        self._predictions += int(np.count_nonzero(known))
        for sums, other in ((self._missed, found.estimates), (self._personal, expected)):
            difference = np.subtract(scores, other, out=np.zeros(known.shape), where=known)
            sums.append(np.square(difference).sum(axis=1))

    def merge(self, other: ExplanationChecks) -> None:
        """Add what was counted for the rankings of other users."""
        self._users += other._users
        self._missing += other._missing
        self._predictions += other._predictions
        self._missed += other._missed
        self._personal += other._personal

    def warn(self) -> None:
        """Warn about users without ratings, and if the estimates miss much of the predictions.

        The latter means: much of what makes the predictions differ between users.
        """
        if self._missing:  # they may not be in the split
            users = f"{self._missing:,} of {self._users:,} users"
            warn(f"no ratings explain the recommendations to {users}")
        missed, personal = self._size(self._missed), self._size(self._personal)
        if missed > _FAR * personal:
            warn(
                "explanations are inaccurate: they are those of estimated predictions, which differ"
                f" by {missed:.3g} from the model's (root mean square)",
                remedy="models trained with als have exact ones",
            )

    def _size(self, squares: list[Doubles]) -> float:
        # The sum is exact, so that it does not depend on the order of the users.
        total = math.fsum(itertools.chain.from_iterable(array.tolist() for array in squares))
        return math.sqrt(total / self._predictions) if self._predictions else 0.0

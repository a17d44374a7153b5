"""Alternating least squares: all rows of one side at once, given those of the other.

Each epoch solves for the items given the users, and then for the users given the items. Every step
finds the exact minimum of the objective in `mfcli.model.objective` over the rows of its side, so
the objective never grows (Y. Zhou et al., "Large-scale parallel collaborative filtering for the
Netflix Prize", AAIM 2008; with unrated pairs: Y. Hu, Y. Koren and C. Volinsky, ICDM 2008). Users
are last, so that each one's row is the solution for the final items, as fold-in finds it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mfcli.aligned import as_aligned
from mfcli.data import Ratings
from mfcli.model import Model, row_penalties
from mfcli.training.als.row_solutions import solve_rows
from mfcli.training.engine import Losses, State, copy_state
from mfcli.training.held_out import held_out_mse
from mfcli.training.normal_equations.rated_rows import Arrays, Packed, RatedRows, RowTask
from mfcli.training.normal_equations.ratings_by_row import BothSides
from mfcli.training.normal_equations.side_rows import SideRows
from mfcli.types import Doubles, Floats, Progress


class _Solution(NamedTuple):
    """Solves for rows; see `solve_rows`.

    The shared array is `unrated`, the given one `penalties`, and those to find `rows` and `sums`.
    """

    width: int
    is_weighted: bool
    is_biased: bool

    def __call__(
        self, task: RowTask, other: Packed, shared: Arrays, given: Arrays, found: Arrays
    ) -> None:
        solve = solve_rows(self.width, weighted=self.is_weighted, biased=self.is_biased)
        solve(task.first, task.last, task.records, *other, *shared, *given, *found)


class _Side(SideRows):
    """The rows of one side, with their penalties.

    Attributes
    ----------
    penalties : float32 array, shape (n, 2)
        Of the bias and of the factors of each row.
    sums : float64 array, shape (n, 2)
        Of each row, when it was solved for: the sum of the weighted squared errors, and the part
        of the objective that depends on the row.
    """

    def __init__(
        self, ratings: RatedRows, factors: Floats, biases: Floats | None, penalties: Doubles
    ) -> None:
        super().__init__(ratings, factors, biases)
        # Without biases, the first lane is a factor like the others.
        first = 0 if biases is not None else 1
        self.penalties = as_aligned(penalties[:, [first, 1]])
        self.sums = np.zeros((len(factors), 2))

    def solve(self, other: Packed, unrated: Floats) -> None:
        """Solve for all rows that have ratings, given the packed rows of the other side."""
        step = _Solution(self.width, self.ratings.is_weighted, self.is_biased)
        self.ratings.compute(
            step, other, (unrated,), given=(self.penalties,), found=(self.rows, self.sums)
        )

    def penalty(self) -> float:
        """Return the sum of the penalties of all rows."""
        penalties = np.zeros(len(self.rows))

        def task(some: slice) -> None:
            squares = np.square(self.rows[some, : self.d], dtype=np.float64)
            first, others = squares[:, 0], squares[:, 1:].sum(axis=1)
            penalties[some] = self.penalties[some, 0] * first + self.penalties[some, 1] * others

        self.in_pieces(task)
        return float(penalties[self.ratings.rated].sum())


class AlsEngine:
    """Finds the rows of items and of users in turn.

    Parameters
    ----------
    start : Model
        Its user factors and biases are the start.
    ratings : BothSides
        Targets and weights of the rated pairs.
    held_out : Ratings, optional
        Targets to validate on.
    """

    def __init__(self, start: Model, ratings: BothSides, held_out: Ratings | None) -> None:
        config = self._config = start.config
        self._start, self._threads = start, ratings.users.threads
        self._held_out = held_out
        sizes = {"user": ratings.users.rated.sum(), "item": ratings.items.rated.sum()}
        sides = (("user", "item", ratings.users), ("item", "user", ratings.items))
        self._users, self._items = (
            _Side(
                by_row,
                start.tables[f"{name}_factors"],
                start.tables[f"{name}_biases"] if config.biases else None,
                row_penalties(by_row.counts, int(sizes[other]), config, name),
            )
            for name, other, by_row in sides
        )
        self._pairs, self._weight = len(ratings.users), ratings.users.weight
        self._penalty = 0.0  # loss - mse of the last epoch

    def run_epoch(self, epoch: int, on_progress: Progress) -> Losses:
        users, items = self._users, self._items
        for done, (side, other) in enumerate(((items, users), (users, items)), start=1):
            packed = other.packed(np.ones(len(other.rows)), self._start.mu)
            unrated = other.unrated(
                packed, self._config.unrated_weight, self._config.unrated_rating
            )
            side.solve(packed, unrated)
            on_progress(self._pairs * done // 2, self._pairs)
        mse = float(users.sums[:, 0].sum()) / self._weight
        loss = (float(users.sums[:, 1].sum()) + self._constant() + items.penalty()) / self._weight
        self._penalty = loss - mse
        return Losses(loss, mse)

    def _constant(self) -> float:
        """Return the part of the unrated pairs that does not depend on the users.

        For each user, they add ``w sum_i (r0 - mu - b_i)^2`` to x^T S x - 2 x . s.
        """
        config, items = self._config, self._items
        residuals = config.unrated_rating - self._start.mu - items.biases.astype(np.float64)
        squares = float(np.square(residuals[items.ratings.rated]).sum())
        return config.unrated_weight * int(self._users.ratings.rated.sum()) * squares

    def validate(self) -> Losses | None:
        if self._held_out is None:
            return None
        # As in Keras, the validation loss has the same penalties as the training loss.
        mse = held_out_mse(self.model(), self._held_out, self._threads)
        return Losses(mse + self._penalty, mse)

    def model(self) -> Model:
        tables = {}
        for name, side in (("user", self._users), ("item", self._items)):
            tables[f"{name}_factors"] = side.factors.copy()
            tables[f"{name}_biases"] = side.biases.copy()
        return self._start.with_tables(tables)

    def state(self) -> State:
        return {"users": self._users.rows, "items": self._items.rows}

    def sides(self) -> dict[str, str]:
        return {"users": "users", "items": "items"}

    def restore(self, state: State) -> None:
        copy_state(state, self.state())

"""The rows of one side in the chain of samples."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mfcli.aligned import aligned, as_aligned
from mfcli.training.gibbs.effects import Effects, EffectsDraw
from mfcli.training.gibbs.normals import Turn
from mfcli.training.gibbs.priors import Prior, draw_prior
from mfcli.training.gibbs.row_draws import draw_rows
from mfcli.training.normal_equations.products import sum_of_rows
from mfcli.training.normal_equations.rated_rows import Arrays, Packed, RatedRows, RowTask
from mfcli.training.normal_equations.ratings_by_row import RatingsByRow
from mfcli.training.normal_equations.side_rows import SideRows
from mfcli.types import Doubles, Floats, Mask


class _Draw(NamedTuple):
    """Draws rows; see `draw_rows`.

    The shared arrays are `unrated`, `precision`, `mean` and `key`, the given ones `alphas` and
    `sums`, and those to find `rows`, `expected` and `squares`.
    """

    width: int
    used: int
    is_weighted: bool
    turn: int

    def __call__(
        self, task: RowTask, other: Packed, shared: Arrays, given: Arrays, found: Arrays
    ) -> None:
        first, last, origin, records = task
        (unrated, precision, mean, key), (alphas, sums) = shared, given
        draw_rows(self.width, weighted=self.is_weighted)(
            first, last, origin, self.used, records, *other, unrated, alphas, precision, mean, sums,
            key, self.turn, *found,
        )  # fmt: skip


class Side(SideRows):
    """The rows of users or items in the chain, and their prior.

    Attributes
    ----------
    effects : Effects, optional
    sums : float32 array, shape (n, width)
        Sum of the effects in the prior mean of each row; without effects, it has no rows.
    prior : Prior
    squares : float64 array, shape (n,)
        Sum of the squared errors of each row when it was drawn.
    """

    def __init__(self, ratings: RatedRows, factors: Floats, biases: Floats) -> None:
        super().__init__(ratings, factors, biases)
        self.effects: Effects | None = None
        self.sums = aligned((0, self.width))
        self.prior = Prior(np.eye(self.width), np.zeros(self.width))
        self.squares = np.zeros(len(biases))

    def add_effects(self, other: RatingsByRow) -> None:
        """Let the prior depend on what each row has rated, given the ratings by the other side."""
        self.effects = Effects(self.ratings, other, self.d - 1, self.width)
        self.sums = self.effects.sums

    def draw_prior(self, rng: np.random.Generator) -> None:
        """Draw the prior of the rows without the sums of effects."""
        left = self.rows
        if self.effects:
            left = self.work
            self.in_pieces(self._set_left)
        threads = self.ratings.threads
        self.prior = draw_prior(left, int(self.ratings.rated.sum()), self.d, rng, threads)

    def _set_left(self, some: slice) -> None:
        np.subtract(self.rows[some], self.sums[some], out=self.work[some])

    def effects_draw(self, turn: Turn) -> EffectsDraw | None:
        """Return a draw of the effects, after `draw_prior`."""
        if not self.effects:
            return None
        return EffectsDraw(self.effects, self.rows, self.work, self.prior, turn)

    def draw(
        self,
        other: Packed,
        unrated: Floats,
        alphas: Doubles,
        turn: Turn,
        expected: Floats | None = None,
    ) -> None:
        """Draw all rows that have ratings, given the packed rows of the other side.

        If given, `expected` is set to the means of the distributions that they are drawn from.
        """
        expected = aligned((0, self.width)) if expected is None else expected
        step = _Draw(self.width, self.d, self.ratings.is_weighted, turn.number)
        prior = map(as_aligned, self.prior)
        self.ratings.compute(
            step, other, (unrated, *prior, turn.key), given=(alphas.astype(np.float32), self.sums),
            found=(self.rows, expected, self.squares),
        )  # fmt: skip

    def start_new(self, new: Mask) -> None:
        """Start some rows, of which nothing is known, at the mean of the others."""
        others = self.rows[self.ratings.rated & ~new]
        if len(others):
            self.rows[self.ratings.rated & new] = others.mean(axis=0)

    def mean(self) -> Doubles:
        """Return the mean of the rows that have ratings."""
        whole: Doubles = sum_of_rows(self.rows, self.ratings.threads) / self.ratings.rated.sum()
        return whole

    def centered(self, rows: Floats, own: Doubles, other: Doubles) -> Floats:
        """Subtract a row from rows, add products with one of the other side to their biases."""
        out, row, factors = self.work, own.astype(np.float32), other[1:].astype(np.float32)

        def task(some: slice) -> None:
            np.subtract(rows[some], row, out=out[some])
            out[some, 0] += out[some, 1:] @ factors
            out[some][~self.ratings.rated[some]] = 0.0

        self.in_pieces(task)
        return out

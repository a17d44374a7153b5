"""The rows of one side in the chain of samples."""

from __future__ import annotations

import numpy as np

from mfcli.aligned import aligned, as_aligned
from mfcli.training.gibbs.effects import Effects, EffectsDraw
from mfcli.training.gibbs.normals import Turn
from mfcli.training.gibbs.priors import Prior, draw_prior
from mfcli.training.gibbs.row_draws import draw_rows
from mfcli.training.normal_equations.products import sum_of_rows
from mfcli.training.normal_equations.ratings_by_row import RatingsByRow
from mfcli.training.normal_equations.side_rows import Packed, SideRows
from mfcli.types import Doubles, Floats, Mask


class Side(SideRows):
    """The rows of users or items in the chain, and their prior.

    Attributes
    ----------
    effects : Effects, optional
    sums : float32 array, shape (n, width)
        Sum of the effects in the prior mean of each row; zero without effects.
    prior : Prior
    squares : float64 array, shape (n,)
        Sum of the squared errors of each row when it was drawn.
    """

    def __init__(self, ratings: RatingsByRow, factors: Floats, biases: Floats) -> None:
        super().__init__(ratings, factors, biases)
        self.effects: Effects | None = None
        self.sums = aligned(self.rows.shape)
        self.prior = Prior(np.eye(self.width), np.zeros(self.width))
        self.squares = np.zeros(len(biases))

    def add_effects(self, other: RatingsByRow) -> None:
        """Let the prior depend on what each row has rated, given the ratings by the other side."""
        self.effects = Effects(self.ratings, other, self.d - 1, self.width)
        self.sums = self.effects.sums

    def draw_prior(self, rng: np.random.Generator) -> None:
        """Draw the prior of the rows without the sums of effects."""
        left = self.work

        def task(some: slice) -> None:
            np.subtract(self.rows[some], self.sums[some], out=left[some])

        self.in_pieces(task)
        threads = self.ratings.threads
        self.prior = draw_prior(left, int(self.ratings.rated.sum()), self.d, rng, threads)

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
        prior = map(as_aligned, self.prior)
        given = alphas.astype(np.float32), *prior, self.sums, turn.key, turn.number
        ratings = self.ratings
        draw = draw_rows(self.width, weighted=ratings.is_weighted)
        ratings.each(
            lambda first, last, records: draw(
                first, last, self.d, records, *other, unrated, *given, self.rows, expected,
                self.squares,
            )
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

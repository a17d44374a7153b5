"""The rows of one side in the chain of samples, and how the other side reads them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mfcli.aligned import aligned, as_aligned, lanes_of
from mfcli.training.gibbs.effects import Effects, EffectsDraw
from mfcli.training.gibbs.normals import Turn
from mfcli.training.gibbs.priors import Prior, draw_prior
from mfcli.training.gibbs.products import in_pieces, sum_of_rows
from mfcli.training.gibbs.row_draws import draw_rows
from mfcli.training.gibbs.sides import RatingsByRow
from mfcli.types import Doubles, Floats


class Side:
    """The rows of users or items in the chain, and their prior.

    Parameters
    ----------
    ratings : RatingsByRow
    factors : float32 array, shape (n, k)
    biases : float32 array, shape (n,)
        The start of the chain.

    Attributes
    ----------
    width : int
        Of a row.
    rows : float32 array, shape (n, width)
        The bias, the factors, and padding.
    effects : Effects, optional
    sums : float32 array, shape (n, width)
        Sum of the effects in the prior mean of each row; zero without effects.
    prior : Prior
    squares : float64 array, shape (n,)
        Sum of the squared errors of each row when it was drawn.
    """

    def __init__(self, ratings: RatingsByRow, factors: Floats, biases: Floats) -> None:
        self.ratings, self._d = ratings, 1 + factors.shape[1]
        self.width = lanes_of(self._d)
        self.rows = aligned((len(biases), self.width))
        self.rows[:, 0], self.rows[:, 1 : self._d] = biases, factors
        self.rows[~ratings.rated] = 0.0  # never drawn, and not used
        self.effects: Effects | None = None
        self.sums = aligned(self.rows.shape)
        self.prior = Prior(np.eye(self.width), np.zeros(self.width))
        self.squares = np.zeros(len(biases))
        # Rows in another form: without effects, packed or centered
        self._work, self._offsets = aligned(self.rows.shape), aligned(biases.shape)

    def add_effects(self, other: RatingsByRow) -> None:
        """Let the prior depend on what each row has rated, given the ratings by the other side."""
        self.effects = Effects(self.ratings, other, self._d - 1, self.width)
        self.sums = self.effects.sums

    def draw_prior(self, rng: np.random.Generator) -> None:
        """Draw the prior of the rows without the sums of effects."""
        left = self._work

        def task(some: slice) -> None:
            np.subtract(self.rows[some], self.sums[some], out=left[some])

        self._in_pieces(task)
        threads = self.ratings.threads
        self.prior = draw_prior(left, int(self.ratings.rated.sum()), self._d, rng, threads)

    def effects_draw(self, turn: Turn) -> EffectsDraw | None:
        """Return a draw of the effects, after `draw_prior`."""
        if not self.effects:
            return None
        return EffectsDraw(self.effects, self.rows, self._work, self.prior, turn)

    def packed(self, roots: Doubles, mu: float) -> tuple[Floats, Floats]:
        """Return ``sqrt(c) (1, q)`` and ``sqrt(c) (mu + b)`` of all rows, for `draw_rows`."""
        z, root = self._work, roots.astype(np.float32)

        def task(some: slice) -> None:
            np.multiply(self.rows[some], root[some, None], out=z[some])
            z[some, 0] = root[some]
            self._offsets[some] = root[some] * (np.float32(mu) + self.rows[some, 0])

        self._in_pieces(task)
        return z, self._offsets

    def draw(self, other: tuple[Floats, Floats], alphas: Doubles, turn: Turn) -> None:
        """Draw all rows that have ratings, given the packed rows of the other side."""
        prior = map(as_aligned, self.prior)
        given = alphas.astype(np.float32), *prior, self.sums, turn.key, turn.number
        draw = draw_rows(self.width)
        self.ratings.each(
            lambda first, last: draw(
                first, last, self._d, *self.ratings.arrays, *other, *given, self.rows, self.squares
            )
        )

    def mean(self) -> Doubles:
        """Return the mean of the rows that have ratings."""
        whole: Doubles = sum_of_rows(self.rows, self.ratings.threads) / self.ratings.rated.sum()
        return whole

    def centered(self, own: Doubles, other: Doubles) -> Floats:
        """Subtract a row from all rows, add products with one of the other side to their biases."""
        out, row, factors = self._work, own.astype(np.float32), other[1:].astype(np.float32)

        def task(some: slice) -> None:
            np.subtract(self.rows[some], row, out=out[some])
            out[some, 0] += out[some, 1:] @ factors
            out[some][~self.ratings.rated[some]] = 0.0

        self._in_pieces(task)
        return out

    def _in_pieces(self, task: Callable[[slice], None]) -> None:
        in_pieces(task, len(self.rows), self.ratings.threads)

"""What a user has rated, as part of the user's prior; and the same for items.

The row of user u has the prior ``N(m + sum_i y_i, L^-1)``, where the sum is over the items i that u
has rated: which items a user chose to rate says something about the user, apart from the ratings.
The row of an item has a sum over the users that rated it. Such priors are in R. Salakhutdinov and
A. Mnih, "Probabilistic matrix factorization", NIPS 2007, section 4. Y. Koren, "Factorization meets
the neighborhood", KDD 2008, calls this implicit feedback (SVD++). J. Simm et al., "Macau: scalable
Bayesian multi-relational factorization with side information using MCMC", MLSP 2017, sample from
such a model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import zip_longest

import numpy as np

from mfcli.aligned import LINE, aligned
from mfcli.storage import each
from mfcli.training.engine import State
from mfcli.training.gibbs.effect_draws import draw_effects
from mfcli.training.gibbs.normals import Turn
from mfcli.training.gibbs.priors import Prior
from mfcli.training.normal_equations.products import add_product, gram, in_pieces
from mfcli.training.normal_equations.rated_rows import RatedRows
from mfcli.training.normal_equations.ratings_by_row import Range, RatingsByRow
from mfcli.types import Doubles, Floats

_COUNTERS = 40  # bits of the counters of a block of columns
_STRENGTH = 1000.0  # precision of effects: the mean of its prior, and its initial value


class Effects:
    """What each row of the other side adds to the prior means of the rows that have rated it.

    A column f of the effects has a Gaussian prior of precision l_f, which has a Gamma prior of mean
    1000 with one degree of freedom.

    Parameters
    ----------
    mine : RatedRows
        The rows that have the prior.
    theirs : RatingsByRow
        By the rows that have the effects.
    k : int
        Number of factors.
    width : int
        Of a row.

    Attributes
    ----------
    effects : float32 array, shape (m, width)
    strengths : float64 array, shape (k + 1,)
        The l_f.
    sums : float32 array, shape (n, width)
        Sum of the effects in the prior mean of each row.
    """

    def __init__(self, mine: RatedRows, theirs: RatingsByRow, k: int, width: int) -> None:
        self.threads, self.unrated, self.theirs = mine.threads, ~mine.rated, theirs
        self.effects = aligned((len(theirs.counts), width))
        self.strengths = np.full(k + 1, _STRENGTH)
        self.sums = aligned((len(mine.counts), width))

    def state(self) -> State:
        """Return all arrays that are drawn, by name; not copied."""
        return {"effects": self.effects, "strengths": self.strengths, "sums": self.sums}


class EffectsDraw:
    """One draw of effects and of the precisions of their priors, given the rows.

    Let S be the diagonal matrix of the l_f, and ``S^-1/2 L S^-1/2 = V D V^T``. Multiplied by
    ``S^1/2 V``, effects have a prior of precision I and residuals one of precision D, so that
    columns are independent.

    Parameters
    ----------
    effects : Effects
        Changed from `begin` to `finish`.
    rows : float32 array, shape (n, width)
    left : float32 array, shape (n, width)
        The rows without the sums of effects; see `aligned`. Used as working memory.
    prior : Prior
        Of the rows; m is its mean and L its precision.
    turn : Turn
        Of the normal variates.

    """

    def __init__(
        self, effects: Effects, rows: Floats, left: Floats, prior: Prior, turn: Turn
    ) -> None:
        self._of, self._rows, self._left = effects, rows, left
        self._mean, self._turn = prior.mean, turn
        d, width = len(effects.strengths), left.shape[1]
        roots = np.sqrt(effects.strengths)
        # S^-1/2 L S^-1/2 = V D V^T; row vectors y become y S^1/2 V, and back by V^T S^-1/2.
        values, vectors = np.linalg.eigh(prior.precision[:d, :d] / roots[:, None] / roots)
        self._there, self._back = np.zeros((2, width, width))
        self._there[:d, :d], self._back[:d, :d] = roots[:, None] * vectors, vectors.T / roots
        self._precisions = aligned((width,))
        self._precisions[:d], self._precisions[d:] = values, 1.0
        self._columns = [slice(first, first + LINE) for first in range(0, width, LINE)]
        self._effects, self._residuals = list[Floats](), list[Floats]()

    @property
    def blocks(self) -> int:
        """Number of blocks of 16 columns."""
        return len(self._columns)

    @property
    def ratings(self) -> RatingsByRow:
        """The ratings by the rows that have the effects."""
        return self._of.theirs

    def begin(self) -> None:
        """Transform the effects, and compute the transformed residuals x - m - sum_i y_i."""
        mean = np.concatenate([self._mean @ self._there[:, some] for some in self._columns])
        self._effects = self._transformed(self._of.effects, np.zeros(len(mean)))
        self._residuals = self._transformed(self._left, mean)

    def _transformed(self, table: Floats, mean: Doubles) -> list[Floats]:
        """Return blocks of the transformed columns, less a mean; one block replaces the table."""
        blocks = [table]
        if self.blocks > 1:
            blocks = [aligned((len(table), LINE)) for _ in self._columns]
        shift = mean.astype(np.float32)

        def task(some: slice) -> None:
            out = aligned(table[some].shape)
            out -= shift
            add_product(table[some], self._there, out)
            for block, columns in zip(blocks, self._columns, strict=True):
                block[some] = out[:, columns]

        in_pieces(task, len(table), self._of.threads)
        return blocks

    def draw_block(self, number: int, some: Range) -> None:
        """Draw a block of columns of some transformed effects, and update the residuals."""
        draw_effects(LINE)(
            some.bounds[0], some.bounds[-1], some.records, self._effects[number],
            self._residuals[number], self._precisions[self._columns[number]], self._turn.key,
            self._turn.number, number << _COUNTERS,
        )  # fmt: skip

    def finish(self, rng: np.random.Generator) -> None:
        """Transform the effects back, store their sums, and draw the precisions of their priors."""
        of, rows, mean = self._of, self._rows, self._mean.astype(np.float32)

        def store_effects(some: slice) -> None:
            out = aligned(of.effects[some].shape)
            self._add_back(self._effects, some, out)
            of.effects[some] = out

        def store_sums(some: slice) -> None:
            # The kernel has updated the residuals x - m - sum_i y_i, so the sums need no other
            # pass.
            left = aligned(rows[some].shape)
            left += mean
            self._add_back(self._residuals, some, left)
            np.subtract(rows[some], left, out=of.sums[some])
            # These rows have no effects; the products above leave rounding errors.
            of.sums[some][of.unrated[some]] = 0.0

        in_pieces(store_effects, len(of.effects), of.threads)
        in_pieces(store_sums, len(rows), of.threads)
        # l_f ~ Gamma(shape (1 + m) / 2, rate (1 / 1000 + sum_i y_if^2) / 2), over m effects
        shape = (1 + of.theirs.rated.sum()) / 2
        squares = gram(of.effects, of.threads).diagonal()[: len(of.strengths)]
        of.strengths[:] = rng.gamma(shape, size=len(squares)) / ((1 / _STRENGTH + squares) / 2)

    def _add_back(self, blocks: list[Floats], some: slice, out: Floats) -> None:
        """Add rows of blocks to `out`, transformed back."""
        for block, columns in zip(blocks, self._columns, strict=True):
            add_product(block[some], self._back[columns], out)


def draw_blocks(draws: Sequence[EffectsDraw], threads: int) -> None:
    """Draw the blocks of all draws at the same time: given the rows, they are independent."""
    for draw in draws:
        draw.begin()
    for ranges in zip_longest(*(draw.ratings.read_ranges() for draw in draws)):
        some = [(draw, part) for draw, part in zip(draws, ranges, strict=True) if part]
        tasks = [partial(d.draw_block, n, part) for d, part in some for n in range(d.blocks)]
        each(partial(_call, tasks), len(tasks), threads)


def _call(tasks: Sequence[Callable[[], None]], number: int) -> None:
    tasks[number]()

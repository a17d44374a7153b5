"""The rows of users or items, and how the kernels read them to find those of the other side."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mfcli.aligned import aligned, lanes_of
from mfcli.training.normal_equations.products import gram, in_pieces, sum_of_products
from mfcli.training.normal_equations.rated_rows import Packed, RatedRows
from mfcli.types import Doubles, Floats


class SideRows:
    """The rows of users or items.

    Parameters
    ----------
    ratings : RatedRows
    factors : float32 array, shape (n, k)
    biases : float32 array, shape (n,), optional
        At the start; None for a model without biases.

    Attributes
    ----------
    is_biased : bool
    d, width : int
        Lanes of a row that are used, and all of them.
    rows : float32 array, shape (n, width)
        The bias, if there are any, the factors, and padding.
    """

    def __init__(self, ratings: RatedRows, factors: Floats, biases: Floats | None) -> None:
        self.ratings, self.is_biased = ratings, biases is not None
        self.d = self.is_biased + factors.shape[1]
        self.width = lanes_of(self.d)
        self.rows = aligned((len(factors), self.width))
        self.factors[:] = factors
        if biases is not None:
            self.rows[:, 0] = biases
        self.rows[~ratings.rated] = 0.0  # never found, and not used
        self.work = aligned(self.rows.shape)
        self._roots, self._offsets = aligned((len(factors),)), aligned((len(factors),))

    @property
    def factors(self) -> Floats:
        """The factors, float32 of shape (n, k); a view."""
        return self.rows[:, self.is_biased : self.d]

    @property
    def biases(self) -> Floats:
        """The biases, float32 of shape (n,)."""
        return self.rows[:, 0] if self.is_biased else np.zeros(len(self.rows), np.float32)

    def packed(self, roots: Doubles, mu: float) -> Packed:
        """Return all rows as the kernels read them; the c are the squares of the roots."""
        z, root, biases = self.work, self._roots, self.biases
        root[:] = np.where(self.ratings.rated, roots, 0)

        def task(some: slice) -> None:
            np.multiply(self.rows[some], root[some, None], out=z[some])
            if self.is_biased:
                z[some, 0] = root[some]
            self._offsets[some] = root[some] * (np.float32(mu) + biases[some])

        self.in_pieces(task)
        return z, self._offsets

    def unrated(self, packed: Packed, weight: float, target: float) -> Floats:
        """Return what unrated pairs with these rows add to each row of the other side.

        Over the rows of this side that have ratings::

            S = weight sum_i c_i z_i z_i^T,   s = weight sum_i c_i (target - mu - b_i) z_i

        All pairs count, rated or not, so that S and s are the same for all rows.

        Returns
        -------
        float32 array, shape (width + 1, width)
            S, and s in the last row.
        """
        out = aligned((self.width + 1, self.width))
        if weight:
            z, offsets = packed
            residuals = np.float32(target) * self._roots - offsets
            out[:-1] = weight * gram(z, self.ratings.threads)
            out[-1] = weight * sum_of_products(residuals, z, self.ratings.threads)
        return out

    def in_pieces(self, task: Callable[[slice], None]) -> None:
        """Call a task with slices of the rows."""
        in_pieces(task, len(self.rows), self.ratings.threads)

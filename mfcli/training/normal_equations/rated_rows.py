"""What is computed for each row of a side, and who computes it: this process, or a cluster."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, TypeAlias

from numpy.typing import NDArray

from mfcli.training.normal_equations.records import Records
from mfcli.types import Counts, Doubles, Floats, Mask

Packed: TypeAlias = tuple[Floats, Floats]
"""``sqrt(c) z`` and ``sqrt(c) (mu + b)`` of all rows; zero for rows without ratings."""

Arrays: TypeAlias = tuple[NDArray[Any], ...]


class RowTask(NamedTuple):
    """Consecutive rows that one thread computes.

    Attributes
    ----------
    first, last : int
        The rows `first` to ``last - 1`` of the arrays.
    origin : int
        Row 0 of the arrays is this row of the side.
    records : Records
        The ratings of the rows.
    """

    first: int
    last: int
    origin: int
    records: Records


class RowStep(Protocol):
    """Computes rows from their ratings and from the rows of the other side.

    It can be pickled, and a row is a function of the arguments: wherever and how often it is
    computed, it has the same bits.
    """

    def __call__(
        self, task: RowTask, other: Packed, shared: Arrays, given: Arrays, found: Arrays
    ) -> None:
        """Compute the rows of a task that have ratings; see `RatedRows.compute`."""


class RatedRows(Protocol):
    """The rows of one side and their ratings.

    Attributes
    ----------
    counts : int64 array, shape (n,)
        Number of ratings of each row.
    rated : bool array, shape (n,)
        Which rows have ratings.
    sizes : float64 array, shape (n,)
        As in `RatingsByRow`.
    is_weighted : bool
        Whether the ratings have weights.
    weight : float
        Sum of the weights of all ratings.
    threads : int
        Number of threads of this process; does not change the result.
    """

    @property
    def counts(self) -> Counts: ...
    @property
    def rated(self) -> Mask: ...
    @property
    def sizes(self) -> Doubles: ...
    @property
    def is_weighted(self) -> bool: ...
    @property
    def weight(self) -> float: ...
    @property
    def threads(self) -> int: ...
    def __len__(self) -> int: ...

    def compute(
        self, step: RowStep, other: Packed, shared: Arrays, given: Arrays, found: Arrays
    ) -> None:
        """Compute all rows that have ratings.

        Parameters
        ----------
        step : RowStep
        other : Packed
            The rows of the other side.
        shared : tuple of arrays
            Small arrays that all rows depend on.
        given : tuple of arrays, shapes (n, ...)
            What each row depends on; an array without rows stands for none.
        found : tuple of arrays, shapes (n, ...)
            Set for each row that has ratings; an array without rows is not computed.
        """

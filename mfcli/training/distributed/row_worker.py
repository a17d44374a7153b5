"""A worker that computes rows of both sides from its own ratings: Gibbs sampling and als."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mfcli.aligned import aligned_like
from mfcli.config import Config
from mfcli.data import Scale
from mfcli.errors import ArtifactError
from mfcli.storage import Scratch, lasting_scratch, threads_of
from mfcli.training.distributed.parts import Limits, Parts
from mfcli.training.normal_equations.rated_pairs import RatedPairs, pairs_of
from mfcli.training.normal_equations.rated_rows import Arrays, RowStep
from mfcli.training.normal_equations.ratings_by_row import RatingsByRow, sort_rows
from mfcli.training.number_widths import ROW
from mfcli.types import Counts, Doubles

SIDES = ("user", "item")
OTHER = ("rows", "offsets")
"""Names of the arrays that every worker receives before a half-step: those of `Packed`."""

_RECORD = 12  # bytes of a packed rating, at most


class Job(NamedTuple):
    """What the ratings count as.

    Attributes
    ----------
    config : Config
    scale : Scale
        Of the ratings.
    unit : float
        Divides the targets.
    """

    config: Config
    scale: Scale
    unit: float


class Computed(NamedTuple):
    """Some rows, as they were computed.

    Attributes
    ----------
    found : tuple of arrays
        See `RatedRows.compute`.
    seconds : float
        How long it took.
    """

    found: Arrays
    seconds: float


class RowWorker(Parts):
    """Holds the ratings of consecutive users, and of consecutive items, sorted by them.

    Parameters
    ----------
    number : int
        Of the worker.
    limits : Limits
    job : Job
    """

    def __init__(self, number: int, limits: Limits, job: Job) -> None:
        super().__init__(limits)
        self._job, self._sides = job, dict[str, RatingsByRow]()

    def sort(self, side: str, cuts: Sequence[int]) -> None:
        """Sort the ratings of the part `side` by its rows, and forget the part.

        Parameters
        ----------
        side : {"user", "item"}
        cuts : sequence of int
            The first row, those where pieces begin, and the end of the last one.
        """
        part, (config, scale, unit) = self.parts[side], self._job
        pairs, number = pairs_of(part, scale, config), SIDES.index(side)
        self._sides.pop(side, None)
        with self.limits.applied():
            self._sides[side] = sort_rows(
                pairs, number, cuts, config.k, threads_of(None), unit=unit, space=self._space(pairs)
            )
        self.drop(side)

    def _space(self, pairs: RatedPairs) -> Scratch | None:
        """Return temporary space for sorted ratings if they do not fit in memory."""
        if len(pairs) * _RECORD <= self.limits.share():
            return None
        need = len(pairs) * (_RECORD + ROW)
        return lasting_scratch(need, "the ratings of a worker", in_order=True)

    def sizes(self, side: str, first: int, end: int, counts: Counts) -> Doubles:
        """Return the `RatingsByRow.sizes` of some rows, and check the numbers of ratings.

        Raises
        ------
        ArtifactError
            If they are not `counts`.
        """
        some = self._between(side, first, end)
        if not np.array_equal(some.counts, counts):
            rule = f"the {side}s that workers have read do not have the ratings of the split"
            raise ArtifactError(rule, remedy="do not change a split while it is in use")
        return some.sizes

    def compute(
        self,
        side: str,
        first: int,
        end: int,
        step: RowStep,
        shared: Arrays,
        given: Arrays,
        shapes: Sequence[tuple[tuple[int, ...], np.dtype[Any]]],
    ) -> Computed:
        """Compute some rows, given those of the other side that were received.

        Parameters
        ----------
        side : str
        first, end : int
            The rows `first` to ``end - 1``, one of the pieces of `sort`.
        step, shared, given
            As for `RatedRows.compute`; what is given is that of these rows.
        shapes : sequence of (tuple of int, dtype)
            Of the arrays to find.
        """
        begin = time.perf_counter()
        rows, offsets = (self.arrays[name] for name in OTHER)
        found = tuple(_zeros(*shape) for shape in shapes)
        # Arrays of the store are read-only, and kernels read whole cache lines.
        shared, given = (tuple(map(_copied, arrays)) for arrays in (shared, given))
        self._between(side, first, end).compute(step, (rows, offsets), shared, given, found)
        return Computed(found, time.perf_counter() - begin)

    def weight_sums(self, side: str, slices: Sequence[slice]) -> list[float]:
        """Return the sums of the weights of some ratings each, counted in the order of the rows."""
        ratings = self._sides[side]
        return [float(ratings.weights(one.start, one.stop).sum()) for one in slices]

    def weights(self, side: str, some: slice) -> Doubles:
        """Return the weights of some ratings, counted in the order of the rows."""
        return self._sides[side].weights(some.start, some.stop)

    def _between(self, side: str, first: int, end: int) -> RatingsByRow:
        ratings = self._sides[side]
        return ratings.between(first - ratings.origin, end - ratings.origin)


def _zeros(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return zeros that begin with a cache line."""
    out = aligned_like(np.empty((0, *shape[1:]), dtype), shape[0])
    out[:] = 0
    return out


def _copied(array: NDArray[Any]) -> NDArray[Any]:
    """Return a copy that begins with a cache line."""
    out = aligned_like(array, len(array))
    out[:] = array
    return out

"""The distinct values of ratings and how often each occurs, counted piece by piece."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from mfcli.data import MANY
from mfcli.storage import check_memory
from mfcli.types import Counts, Doubles, Floats

_PIECE = 1 << 20  # ratings that are counted together
_LEAST = 1 << 20  # distinct values that wait at least before they are merged with others
_BYTES = 48  # memory for each of them while they are merged


def distinct_values(columns: Iterable[Floats], total: int) -> tuple[Doubles, Counts]:
    """Return the distinct values in ascending order, and how often each occurs.

    Parameters
    ----------
    columns : iterable of float32 array
    total : int
        Number of all values.

    Raises
    ------
    LimitError
        If the distinct values do not fit in memory.
    """
    waiting: list[tuple[Floats, Counts]] = []
    size = merged = 0
    for column in columns:
        for start in range(0, len(column), _PIECE):
            waiting.append(_counted(column[start : start + _PIECE], total))
            size += len(waiting[-1][0])
            # Merged values are sorted again only when as many others wait.
            if size > 2 * merged + _LEAST:
                waiting = [_merged(waiting, size)]
                size = merged = len(waiting[0][0])
    values, counts = _merged(waiting, size)
    return values.astype(np.float64), counts


def _counted(rating: Floats, total: int) -> tuple[Floats, Counts]:
    if total > MANY:
        from mfcli.data import value_counts  # loads Numba, which few ratings are not worth

        if counted := value_counts(rating):
            return counted
    values, counts = np.unique(rating, return_counts=True)
    return values, counts.astype(np.int64)


def _merged(parts: list[tuple[Floats, Counts]], size: int) -> tuple[Floats, Counts]:
    """Add up the counts of equal values."""
    check_memory(size * _BYTES, "counting distinct ratings", "round the ratings")
    values = np.concatenate([values for values, _ in parts])
    counts = np.concatenate([counts for _, counts in parts])
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    return ordered[first] + np.float32(0), np.add.reduceat(counts[order], first)  # -0.0 becomes 0.0

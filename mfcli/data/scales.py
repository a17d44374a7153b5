"""The scale of ratings: their smallest and largest value, and the step between values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from mfcli.data.sizes import MANY, MOST_VALUES
from mfcli.types import Floats

_CHUNK = 1 << 16  # ratings examined at a time


class Scale(NamedTuple):
    """The values of ratings: from `min` to `max`, in steps of `step`, which is None if uneven."""

    min: float
    max: float
    step: float | None


def scale_of(pieces: Iterable[Floats]) -> Scale:
    """Return the smallest and the largest of some ratings, and the step between them.

    Parameters
    ----------
    pieces : iterable of float32 array
        Together they hold at least one rating.
    """
    low, high, total = np.inf, -np.inf, 0
    values: Floats | None = np.empty(0, np.float32)
    for piece in pieces:
        total += len(piece)
        if values is not None:
            values = _joined(values, piece, total)
        if values is None and len(piece):  # too many, so only the ends count
            low, high = min(low, float(piece.min())), max(high, float(piece.max()))
        elif values is not None and len(values):
            low, high = float(values[0]), float(values[-1])
    return Scale(low, high, None if values is None else _step(values))


def _joined(values: Floats, piece: Floats, total: int) -> Floats | None:
    """Add the values of a piece to distinct values, in ascending order; None if they are many."""
    found = _distinct(piece, total)
    joined = None if found is None else np.union1d(values, found)
    return None if joined is None or len(joined) > MOST_VALUES else joined


def _distinct(rating: Floats, total: int) -> Floats | None:
    """Return the distinct values in ascending order, or None if there are very many."""
    if total > MANY:
        # Imported here because it loads Numba, which takes longer than to look at few ratings.
        from mfcli.data.value_counts import value_counts

        if counted := value_counts(rating):
            return counted[0]
    found = rating[:0]
    for start in range(0, len(rating), _CHUNK):
        # In chunks, so that ratings with very many values are noticed early.
        chunk = np.unique(rating[start : start + _CHUNK])
        if len(chunk) > MOST_VALUES or len(found := np.union1d(found, chunk)) > MOST_VALUES:
            return None
    return found


def _step(values: Floats) -> float | None:
    """Return the smallest gap between values if all gaps are multiples of it."""
    if len(values) < 2:
        return None
    # In float64, so that the differences add no error to that of the values.
    gaps = np.diff(values.astype(np.float64))
    step = gaps.min()
    multiples = gaps / step
    # Only values on a grid have a step: 1, 2, 4 has the step 1, and 1, 2, 3.5 has none.
    even = np.allclose(multiples, np.round(multiples), atol=1e-3, rtol=0)
    return round(float(step), 6) if even else None

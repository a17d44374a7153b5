"""Copies of columns that are made piece by piece."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mfcli.data import Columns, Ratings, Source


def copied(columns: Columns, source: Source | None, feedback: str) -> Ratings:
    """Return ratings in memory, given their columns."""
    size = len(columns)
    arrays: dict[str, Any] = {
        name: filled(size, kind, columns.pieces(name)) for name, kind in columns.types.items()
    }
    if "timestamp" not in arrays:
        arrays["timestamp"] = None
    return Ratings(
        **arrays, users=columns.users, items=columns.items, source=source, feedback=feedback
    )


def filled(size: int, kind: DTypeLike, pieces: Iterable[NDArray[Any]]) -> NDArray[Any]:
    """Join pieces whose memory is used again into a new array."""
    values, end = np.empty(size, kind), 0
    for piece in pieces:
        values[end : end + len(piece)] = piece
        end += len(piece)
    return values

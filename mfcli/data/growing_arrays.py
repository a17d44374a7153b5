"""Arrays to which pieces are appended, without a copy of all pieces at the end."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_MARGIN = 1.05  # room for pieces that are larger than those before
_MOST = 64  # times the values so far, since the share may be wrong
_GROWTH = 1.25  # at least, so that few copies are made if the share was wrong


class GrowingArray:
    """An array of one dimension that grows.

    Room for all values is reserved when the first piece is appended. The system provides memory
    only for what is written, so too much room costs nothing.

    Parameters
    ----------
    dtype : NumPy type
    """

    def __init__(self, dtype: Any) -> None:
        self._room, self._length = np.empty(0, dtype), 0

    def append(self, piece: NDArray[Any], share: float) -> None:
        """Append a piece.

        Parameters
        ----------
        piece : array, shape (n,)
        share : float
            About which fraction of all values has been appended, this piece included.
        """
        end = self._length + len(piece)
        if end > len(self._room):
            expected = int(min(end / share * _MARGIN, end * _MOST)) if 0 < share < 1 else end
            self._reserve(max(expected, int(_GROWTH * len(self._room)), end))
        self._room[self._length : end] = piece
        self._length = end

    def _reserve(self, room: int) -> None:
        larger = np.empty(room, self._room.dtype)
        larger[: self._length] = self._room[: self._length]
        self._room = larger

    def values(self) -> NDArray[Any]:
        """Return the values so far."""
        return self._room[: self._length]

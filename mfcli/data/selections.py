"""Some ratings of others, without copies of their columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfcli.data.ratings import Ratings
from mfcli.data.sizes import MANY
from mfcli.data.vocabulary import Vocabulary, counts_of
from mfcli.types import Counts, Floats, Mask, Rows

_PIECE = 1 << 20  # ratings from which a piece is selected


@dataclass(frozen=True)
class Selection:
    """Some of the ratings, in their order. Columns are copied when they are asked for.

    Attributes
    ----------
    ratings : Ratings
    mask : bool array, shape (n,)
        Which of them are selected.
    """

    ratings: Ratings
    mask: Mask

    def __len__(self) -> int:
        return self._size

    @cached_property
    def _size(self) -> int:
        return int(np.count_nonzero(self.mask))

    @property
    def types(self) -> dict[str, np.dtype[Any]]:
        """As in `Ratings`."""
        return self.ratings.types

    @property
    def users(self) -> Vocabulary:
        return self.ratings.users

    @property
    def items(self) -> Vocabulary:
        return self.ratings.items

    @property
    def user(self) -> Rows:
        """As in `Ratings`; a new array each time."""
        return self._column("user")

    @property
    def item(self) -> Rows:
        """As in `Ratings`; a new array each time."""
        return self._column("item")

    @property
    def rating(self) -> Floats:
        """As in `Ratings`; a new array each time."""
        return self._column("rating")

    @property
    def mean(self) -> float:
        """As in `Ratings`."""
        return float(self.rating.mean(dtype=np.float64))

    def _column(self, name: str) -> NDArray[Any]:
        column = np.empty(len(self), getattr(self.ratings, name).dtype)
        end = 0
        for piece in self.pieces(name):
            column[end : end + len(piece)] = piece
            end += len(piece)
        return column

    def pieces(self, name: str) -> Iterator[NDArray[Any]]:
        """Yield a column piece by piece; the memory of a piece is used again for the next one."""
        column = getattr(self.ratings, name)
        parts = [slice(n, n + _PIECE) for n in range(0, len(column), _PIECE)]
        yield from selected(((column[part], self.mask[part]) for part in parts), len(column))

    def counting(self) -> Selection:
        """Return the same ratings with vocabularies that count them."""
        users = Vocabulary(self.users.ids, self._counts("user", len(self.users)))
        items = Vocabulary(self.items.ids, self._counts("item", len(self.items)))
        return replace(self, ratings=self.ratings.over(users, items))

    def _counts(self, name: str, size: int) -> Counts:
        rows = getattr(self.ratings, name)
        if len(rows) <= MANY:
            return counts_of(rows[self.mask], size)
        from mfcli.data.compression import selected_counts  # as above

        return selected_counts(rows, self.mask, size)

    def taken(self) -> Ratings:
        """Copy the ratings."""
        return self.ratings.take(self.mask)


def selected(pieces: Iterable[tuple[NDArray[Any], Mask]], total: int) -> Iterator[NDArray[Any]]:
    """Yield the values that masks select; the memory of a piece is used again for the next one.

    Parameters
    ----------
    pieces : iterable of (array, bool array), shapes (n,)
        Values of 4 or 8 bytes; no piece is longer than the first.
    total : int
        Number of values in all pieces.
    """
    if total <= MANY:
        yield from (values[mask] for values, mask in pieces)
        return
    # Imported here because it loads Numba, which takes longer than to select few values.
    from mfcli.data.compression import compressed

    memory = None
    for values, mask in pieces:
        memory = np.empty(len(values) + 1, values.dtype) if memory is None else memory
        yield compressed(values, mask, memory)

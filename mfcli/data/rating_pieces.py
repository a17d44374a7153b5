"""Pieces of ratings, and how they are joined: ids are numbered, and columns are appended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mfcli.data.arrow_arrays import to_numpy
from mfcli.data.growing_arrays import GrowingArray
from mfcli.data.ids import integers_if_exact
from mfcli.data.numbering import Numbering
from mfcli.data.ratings import Ratings
from mfcli.data.times import in_seconds
from mfcli.data.vocabulary import Vocabulary, counts_of
from mfcli.types import Floats, Mask, Rows

_NUMBERS = ("rating", "timestamp", "weight")


@dataclass(frozen=True)
class RatingPiece:
    """A piece of ratings without faults.

    Attributes
    ----------
    user, item : Arrow array of int64 or string, or a dictionary of strings, length n
        Raw ids; none is missing or empty.
    rating : float32 array, shape (n,)
        Finite.
    timestamp : int64 or datetime64[s] array, shape (n,), optional
        Numbers in a unit that is not known yet, or dates.
    weight : float32 array, shape (n,), optional
        Finite and positive.
    """

    user: pa.Array
    item: pa.Array
    rating: Floats
    timestamp: NDArray[Any] | None
    weight: Floats | None = None

    def __len__(self) -> int:
        return len(self.rating)


def rating_piece(columns: Mapping[str, pa.Array]) -> RatingPiece:
    """Return checked columns, by role, as a piece; each row without a rating is one event."""
    user = columns["user"]
    found = {role: to_numpy(column) for role, column in columns.items() if role in _NUMBERS}
    rating = found["rating"] if "rating" in found else np.ones(len(user), np.float32)
    return RatingPiece(user, columns["item"], rating, found.get("timestamp"), found.get("weight"))


class Collector:
    """Collects pieces of ratings into `Ratings`.

    Parameters
    ----------
    feedback : {"explicit", "implicit"}
    """

    def __init__(self, feedback: str) -> None:
        self._feedback = feedback
        self._users, self._items = Numbering(), Numbering()
        self._user, self._item = GrowingArray(np.int32), GrowingArray(np.int32)
        self._rating, self._time = GrowingArray(np.float32), GrowingArray(np.int64)
        self._weight: GrowingArray | None = None
        # For each piece with times, how many, and whether they are dates.
        self._dates: list[tuple[int, bool]] = []

    def add(self, piece: RatingPiece, share: float = 1.0) -> None:
        """Add a piece.

        Parameters
        ----------
        piece : RatingPiece
        share : float
            About which fraction of all ratings has been added, this piece included.
        """
        self._user.append(self._users.numbers(piece.user, share), share)
        self._item.append(self._items.numbers(piece.item, share), share)
        self._rating.append(piece.rating, share)
        if piece.timestamp is not None:
            self._dates.append((len(piece), piece.timestamp.dtype.kind != "i"))
            self._time.append(piece.timestamp.view(np.int64), share)
        if piece.weight is not None:
            self._weight = self._weight or GrowingArray(np.float32)
            self._weight.append(piece.weight, share)

    def ratings(self, source: object, place: Callable[[int], str]) -> Ratings:
        """Return all ratings; nothing can be added any more.

        Parameters
        ----------
        source : object
            The file or table, for messages.
        place : callable
            Returns the file and line of a rating, given its position from 0.

        Raises
        ------
        DataError
            If times are in several units.
        """
        user, item = self._user.values(), self._item.values()
        return Ratings(
            user=user,
            item=item,
            rating=self._rating.values(),
            timestamp=self._times(source, place) if self._dates else None,
            users=_vocabulary(self._users, user),
            items=_vocabulary(self._items, item),
            weight=self._weight.values() if self._weight else None,
            feedback=self._feedback,
        )

    def _times(self, source: object, place: Callable[[int], str]) -> NDArray[np.int64]:
        if len({is_date for _, is_date in self._dates}) == 1:
            dates: Mask | bool = self._dates[0][1]
        else:
            dates = np.concatenate([np.full(n, is_date) for n, is_date in self._dates])
        return in_seconds(self._time.values(), dates, source, place)


def _vocabulary(numbering: Numbering, rows: Rows) -> Vocabulary:
    # Only now all ids are known, and with them whether all are written as integers.
    ids = integers_if_exact(numbering.ids())
    return Vocabulary(ids, counts_of(rows, len(ids)))

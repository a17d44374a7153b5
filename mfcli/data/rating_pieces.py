"""Pieces of ratings, and how they are joined: ids are numbered, and columns are appended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mfcli.data.arrow_arrays import to_numpy
from mfcli.data.growing_arrays import GrowingArray
from mfcli.data.ids import integers_if_exact
from mfcli.data.numbering import Numbering
from mfcli.data.overflow import Overflow
from mfcli.data.rating_tables import MOST_ROWS, RatingTable, TableInMemory
from mfcli.data.time_units import Conversion, TimeUnit
from mfcli.errors import LimitError
from mfcli.types import Floats

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
    """Collects pieces of ratings: their ids are numbered, and their columns joined.

    Parameters
    ----------
    overflow : Overflow, optional
        Takes ratings that do not fit in memory; without it, all stay in memory.
    """

    def __init__(self, overflow: Overflow | None = None) -> None:
        self._users, self._items = Numbering(), Numbering()
        self._columns: dict[str, GrowingArray] = {}
        self._overflow, self._times = overflow, TimeUnit()
        self.rows = 0

    def add(self, piece: RatingPiece, share: float = 1.0) -> None:
        """Add a piece.

        Parameters
        ----------
        piece : RatingPiece
        share : float
            About which fraction of all ratings has been added, this piece included.

        Raises
        ------
        LimitError, ArtifactError
            If there is neither memory nor temporary space for it.
        """
        self.rows += len(piece)
        if self.rows > MOST_ROWS:
            raise LimitError(f"more than {MOST_ROWS:,} ratings cannot be read together")
        columns: dict[str, NDArray[Any]] = {
            "user": self._users.numbers(piece.user, share),
            "item": self._items.numbers(piece.item, share),
            "rating": piece.rating,
        }
        if piece.timestamp is not None:
            dates = piece.timestamp.dtype.kind != "i"
            times = piece.timestamp.view(np.int64)
            self._times.add(times, dates=dates)
            columns["timestamp"] = times
        if piece.weight is not None:
            columns["weight"] = piece.weight
        self._append(columns, share)
        if self._overflow and self._overflow.offer(self._values(), share):
            self._columns = {}

    def _append(self, columns: Mapping[str, NDArray[Any]], share: float) -> None:
        # Room for all ratings is reserved only after the first were not moved.
        reserves = not self._overflow or (self._columns and not self._overflow.is_in_use)
        for name, values in columns.items():
            if name not in self._columns:
                self._columns[name] = GrowingArray(values.dtype)
            self._columns[name].append(values, share if reserves else 1)

    def _values(self) -> dict[str, NDArray[Any]]:
        return {name: column.values() for name, column in self._columns.items()}

    def collected(self, source: object, place: Callable[[int], str]) -> Collected:
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
        # Only now all ids are known, and with them whether all are written as integers.
        users, items = (integers_if_exact(n.ids()) for n in (self._users, self._items))
        del self._users, self._items  # their tables take more memory than the ids
        conversion = self._times.conversion(source, place)
        return Collected(self._tables(), self.rows, users, items, conversion)

    def _tables(self) -> list[RatingTable]:
        if self._overflow and self._columns and self._overflow.offer(self._values(), 1.0):
            self._columns = {}
        if self._overflow and self._overflow.is_in_use:
            return self._overflow.tables(self._values())
        return [TableInMemory(self._values())]


class Collected(NamedTuple):
    """Ratings as they were read, duplicates included.

    Attributes
    ----------
    tables : list of RatingTable
        Each has all ratings of its users, in the order in which they were read.
    rows : int
    users, items : Arrow array of int64 or string
        Ids in the order of their rows.
    times : Conversion
        Turns times into seconds.
    """

    tables: list[RatingTable]
    rows: int
    users: pa.Array
    items: pa.Array
    times: Conversion

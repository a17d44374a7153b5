"""Pieces of ratings, and how they are joined: ids are numbered, and columns are concatenated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mfcli.data.arrow_arrays import to_arrow, to_numpy, to_texts
from mfcli.data.ids import integers_if_exact
from mfcli.data.ratings import Ratings
from mfcli.data.times import in_seconds
from mfcli.data.vocabulary import Vocabulary
from mfcli.types import Floats, Rows


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
    """

    user: pa.Array
    item: pa.Array
    rating: Floats
    timestamp: NDArray[Any] | None

    def __len__(self) -> int:
        return len(self.rating)


def rating_piece(columns: Mapping[str, pa.Array]) -> RatingPiece:
    """Return checked columns, by role, as a piece."""
    times = columns.get("timestamp")
    return RatingPiece(
        user=columns["user"],
        item=columns["item"],
        rating=to_numpy(columns["rating"]),
        timestamp=None if times is None else to_numpy(times),
    )


class Collector:
    """Collects pieces of ratings into `Ratings`."""

    def __init__(self) -> None:
        self._users, self._items = _Numbering(), _Numbering()
        self._columns: dict[str, list[NDArray[Any]]] = {
            name: [] for name in ("user", "item", "rating", "timestamp")
        }

    def add(self, piece: RatingPiece) -> None:
        self._columns["user"].append(self._users.numbers(piece.user))
        self._columns["item"].append(self._items.numbers(piece.item))
        self._columns["rating"].append(piece.rating)
        if piece.timestamp is not None:
            self._columns["timestamp"].append(piece.timestamp)

    def ratings(self, source: object, place: Callable[[int], str]) -> Ratings:
        """Join the pieces, at least one; each column is released once it has been joined.

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
        # `pop`, so that the pieces of a column are freed before the next one is joined.
        times = self._columns.pop("timestamp")
        columns = {name: np.concatenate(self._columns.pop(name)) for name in [*self._columns]}
        return Ratings(
            user=columns["user"],
            item=columns["item"],
            rating=columns["rating"],
            timestamp=in_seconds(times, source, place) if times else None,
            users=self._users.vocabulary(columns["user"]),
            items=self._items.vocabulary(columns["item"]),
        )


@dataclass
class _Numbering:
    """Numbers the distinct ids of a column in the order of their first appearance."""

    rows: dict[Any, int] = field(default_factory=dict)
    type: pa.DataType | None = None

    def numbers(self, ids: pa.Array) -> Rows:
        """Return the row of each id; new ids get the next rows."""
        if not pa.types.is_dictionary(ids.type):
            # Python looks up each distinct id once per piece, not each rating.
            ids = ids.dictionary_encode()
        distinct, rows = self._alike(ids.dictionary).to_pylist(), self.rows
        # A new id gets the number of ids so far.
        numbers = np.array([rows.setdefault(raw, len(rows)) for raw in distinct], np.int32)
        found: Rows = numbers[to_numpy(ids.indices)]
        return found

    def _alike(self, ids: pa.Array) -> pa.Array:
        """Bring new ids and those known to one type: text, if any are text."""
        if self.type is None:
            self.type = ids.type  # of the first piece
        if ids.type != self.type:
            ids = ids.cast(pa.string())
            if self.type != pa.string():
                self.type = pa.string()
                # Earlier pieces had integers only; as texts they keep their rows.
                self.rows = {str(raw): row for raw, row in self.rows.items()}
        return ids

    def vocabulary(self, rows: Rows) -> Vocabulary:
        raw = list(self.rows)
        is_text = self.type == pa.string()
        ids = to_texts(raw) if is_text else to_arrow(np.array(raw, np.int64))
        counts = np.bincount(rows, minlength=len(ids)).astype(np.int64)
        # Only now all ids are known, and with them whether all are written as integers.
        return Vocabulary(integers_if_exact(ids), counts)

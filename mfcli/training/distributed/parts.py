"""The ratings that a worker has: in memory, or on its local disk if they do not fit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mfcli.aligned import aligned_like
from mfcli.data import pieces_of
from mfcli.storage import Segments, current_resources, lasting_scratch, resources, room
from mfcli.training.distributed.sources import RowColumns
from mfcli.types import Counts, Floats, Rows

_PIECE = 1 << 20  # values of a column that are in memory at a time, if it is on disk
_GROWTH = 1.25  # of an array that is too small


class Limits(NamedTuple):
    """What each worker may use, see `resources`: as the driver, if it has set limits.

    Attributes
    ----------
    memory : int, optional
        Bytes that the process of a worker may have in use.
    temp : str, optional
        Folder of temporary files on each node.
    room : int, optional
        Bytes of ratings in memory.
    workers : int
        Most workers on a node, which share its memory.
    """

    memory: int | None = None
    temp: str | None = None
    room: int | None = None
    workers: int = 1

    @classmethod
    def of_driver(cls, workers: int = 1) -> Limits:
        """Return the limits of this process, for as many workers on a node."""
        own = current_resources()
        temp = None if own.temp is None else str(own.temp)
        return cls(own.memory, temp, own.room, workers)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Apply the limits to this process while the block runs."""
        with resources(self.memory, None if self.temp is None else Path(self.temp), room=self.room):
            yield

    def share(self) -> int:
        """Return the bytes of ratings that this worker may have in memory."""
        return room() if self.room is not None else room() // self.workers


@dataclass(frozen=True)
class CountedRows:
    """All users, or all items, without their ids.

    Attributes
    ----------
    counts : int64 array, shape (n,)
        Number of training ratings of each one; empty if the worker has not received them.
    size : int
        n
    """

    counts: Counts
    size: int

    def __len__(self) -> int:
        return self.size


class Taken(NamedTuple):
    """Some ratings of a part."""

    user: Rows
    item: Rows
    rating: Floats
    weight: Floats | None


class Part:
    """Ratings that are appended piece by piece, and then read as `Ratings` are.

    Parameters
    ----------
    types : dict of dtype
        Of the columns, by name.
    users, items : CountedRows
    expected : int
        About the number of ratings.
    limits : Limits
    """

    def __init__(
        self,
        types: dict[str, np.dtype[Any]],
        users: CountedRows,
        items: CountedRows,
        expected: int,
        limits: Limits,
    ) -> None:
        self.types, self.users, self.items = types, users, items
        self._expected, self._limits, self._length = expected, limits, 0
        self._size = sum(kind.itemsize for kind in types.values())  # of a rating
        with limits.applied():
            self._most = limits.share() // self._size
        self._arrays = {name: np.empty(0, kind) for name, kind in types.items()}
        self._disk: Segments | None = None
        if expected > self._most:
            self._move()

    def __len__(self) -> int:
        return self._length

    @property
    def is_on_disk(self) -> bool:
        """Whether the ratings are in a temporary file."""
        return self._disk is not None

    def append(self, columns: RowColumns) -> None:
        """Append ratings, which are copied.

        Raises
        ------
        LimitError, ArtifactError
            If there is too little temporary space.
        """
        length = self._length + len(columns["rating"])
        if self._disk is None and length > self._most:
            self._move()
        for name, values in columns.items():
            if self._disk:
                self._disk.append(name, values)
            else:
                self._reserve(name, length)[self._length : length] = values
        self._length = length

    def _reserve(self, name: str, length: int) -> NDArray[Any]:
        """Return the array of a column, with room for some values."""
        array = self._arrays[name]
        if length > len(array):
            size = max(length, min(self._expected, self._most), int(_GROWTH * len(array)))
            larger = np.empty(size, array.dtype)
            larger[: self._length] = array[: self._length]
            self._arrays[name] = array = larger
        return array

    def _move(self) -> None:
        """Continue on disk."""
        need = max(self._expected, 2 * self._length) * self._size
        with self._limits.applied():
            space = lasting_scratch(need, "the ratings of a worker", in_order=True)
        self._disk = Segments(space)
        for name, array in self._arrays.items():
            self._disk.append(name, array[: self._length])
        self._arrays = {}

    def pieces(self, name: str) -> Iterator[NDArray[Any]]:
        """Yield a column in pieces, as `Ratings.pieces`."""
        if self._disk:
            yield from self._disk.pieces(name, self.types[name], _PIECE)
        else:
            yield from pieces_of(self._arrays[name][: self._length])

    def take(self, some: slice) -> Taken:
        """Return consecutive ratings."""
        start, stop, _ = some.indices(self._length)
        columns = {name: self._column(name, start, stop) for name in self.types}
        return Taken(columns["user"], columns["item"], columns["rating"], columns.get("weight"))

    def _column(self, name: str, start: int, stop: int) -> NDArray[Any]:
        if self._disk:
            return self._disk.part(name, self.types[name], start, stop)
        return self._arrays[name][start:stop]


class Parts:
    """The parts of a worker by name, and arrays that it shares with others: see `exchange`.

    Parameters
    ----------
    limits : Limits

    Attributes
    ----------
    parts : dict of Part
    arrays : dict of arrays
        Copies of what was received, which begin with a cache line. "users" and "items" are the
        numbers of training ratings of all users and items, for parts that begin later.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.parts: dict[str, Part] = {}
        self.arrays: dict[str, NDArray[Any]] = {}

    def begin(
        self, name: str, types: dict[str, np.dtype[Any]], shape: tuple[int, int], expected: int
    ) -> None:
        """Begin a part without ratings, in place of one with the same name.

        Parameters
        ----------
        name : str
        types : dict of dtype
            Of the columns, by name.
        shape : tuple of int
            Number of all users and of all items.
        expected : int
            About the number of ratings.
        """
        self.parts.pop(name, None)  # before, so that its memory is free
        none = np.empty(0, np.int64)
        users, items = (
            CountedRows(self.arrays.get(side, none), size)
            for side, size in zip(("users", "items"), shape, strict=True)
        )
        self.parts[name] = Part(types, users, items, expected, self.limits)

    def append(self, name: str, columns: RowColumns) -> None:
        """Append ratings to a part; see `Part.append`."""
        self.parts[name].append(columns)

    def receive(self, name: str, length: int, start: int, piece: NDArray[Any]) -> None:
        """Copy the rows of an array from `start` on; the first ones make room for all.

        Parameters
        ----------
        name : str
        length : int
            Of the whole array.
        start : int
        piece : array, shape (m, ...)
        """
        if start == 0:
            self.arrays.pop(name, None)
            self.arrays[name] = aligned_like(piece, length)
        self.arrays[name][start : start + len(piece)] = piece

    def drop(self, name: str) -> None:
        """Forget a part and an array."""
        self.parts.pop(name, None)
        self.arrays.pop(name, None)

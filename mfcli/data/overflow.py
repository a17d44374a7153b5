"""Ratings that no longer fit in memory while they are read: they go to buckets on disk."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mfcli.data.bucket_files import BucketFiles
from mfcli.data.rating_tables import POSITION, TYPES, RatingTable
from mfcli.data.sizes import ratings_within
from mfcli.storage import Segments, room, scratch

_MARGIN = 2  # buckets are smaller by this factor than what fits, since their sizes differ
_MOVED = 1 << 19  # ratings that are brought into the order of the buckets together
_TIMES = 4  # times as many, if memory allows, since larger pieces are read faster later
_ROOM = 1 << 8  # bytes for each of them
_CHECKED = 1 << 18  # ratings after which the memory is checked again

Columns: TypeAlias = Mapping[str, NDArray[Any]]


class Overflow:
    """Moves ratings to temporary space, as soon as all together do not fit in memory.

    Parameters
    ----------
    stack : ExitStack
        Ends the temporary space.
    what : str
        The work, for messages: "reading ratings.csv".
    """

    def __init__(self, stack: contextlib.ExitStack, what: str) -> None:
        self._stack, self._what = stack, what
        self._files: BucketFiles | None = None
        self._writing: Future[None] | None = None
        self._checked, self._moved, self._together = -_CHECKED, 0, _MOVED  # ratings

    @property
    def is_in_use(self) -> bool:
        """Whether there are ratings in temporary space."""
        return self._files is not None

    def offer(self, columns: Columns, share: float) -> bool:
        """Take ratings that are in memory, if they should be moved; return whether they are taken.

        Parameters
        ----------
        columns : mapping of array, shape (n,)
            Those that were read since others were taken. If they are taken, they must not change.
        share : float
            About which fraction of all ratings has been read.

        Raises
        ------
        LimitError, ArtifactError
            If there is no temporary space.
        """
        waiting = len(columns["user"])
        if self._files is not None:
            if waiting >= self._together:
                self._move(columns)
            return waiting >= self._together
        if share < 1 and waiting < self._checked + _CHECKED:
            return False
        self._checked = waiting
        held = sum(column.nbytes for column in columns.values())
        expected, most = int(waiting / (share or 1)), ratings_within(room() + held)
        if expected <= most:
            return False
        size = sum(column.itemsize for column in columns.values())
        size += sum(kind.itemsize for kind in TYPES.values())
        space = self._stack.enter_context(scratch(expected * size, self._what))
        self._pool = self._stack.enter_context(ThreadPoolExecutor(1))
        count = _MARGIN * expected // max(most, 1)
        self._together = min(max((room() + held) // _ROOM, _MOVED), _TIMES * _MOVED)
        self._files = BucketFiles(Segments(space), max(count, 2))
        self._move(columns)
        self._wait()  # so that the memory of the many that were held is free
        return True

    def _move(self, columns: Columns) -> None:
        self._wait()
        assert self._files is not None
        first, self._moved = self._moved, self._moved + len(columns["user"])
        self._writing = self._pool.submit(_append, self._files, columns, first, self._together)

    def _wait(self) -> None:
        if self._writing is not None:
            self._writing.result()

    def tables(self, columns: Columns) -> list[RatingTable]:
        """Move the last ratings, and return all in buckets.

        Parameters
        ----------
        columns : mapping of array, shape (n,)
            As in `offer`; empty if there are none.
        """
        assert self._files is not None
        if columns:
            self._move(columns)
        self._wait()
        return [*self._files.tables()]


def _append(files: BucketFiles, columns: Columns, first: int, count: int) -> None:
    """Append ratings to the buckets, `count` at a time."""
    for start in range(0, len(columns["user"]), count):
        part = {name: column[start : start + count] for name, column in columns.items()}
        end = first + start + len(part["user"])
        files.append(part | {POSITION: np.arange(first + start, end, dtype=np.uint32)})

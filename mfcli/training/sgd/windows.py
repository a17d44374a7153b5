"""The packed ratings of an epoch as kernels see them: all of them, or a window of those on disk.

A window consists of slots. A thread reads a few consecutive blocks at a time, in the order in which
they are visited, into the next slot, as soon as all blocks that it held before are done. Meanwhile,
other threads train on the blocks that have been read.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from mfcli.storage import Scratch, room
from mfcli.training.packing import PADDING
from mfcli.training.sgd.claims import STRATA, Claims, mark_read
from mfcli.training.sgd.packed_ratings import Bytes, Form, Packed
from mfcli.types import Counts

_READ = 1 << 22  # bytes that are read at a time: enough for the full speed of a disk
_SHARE = 8  # as many reads fit in the room for ratings
_LEAST, _MOST = 2, 16  # slots
_PAUSE = 2e-4  # seconds between two looks at whether a slot is free


class Window(Protocol):
    """What one engine sees of the packed ratings.

    Attributes
    ----------
    packed : Packed
    order : int64 array, shape (blocks,), or None
        The order in which blocks are read; None if all are in memory.
    """

    @property
    def packed(self) -> Packed: ...
    @property
    def order(self) -> Counts | None: ...

    def read(self, claims: Claims) -> None:
        """Read all blocks of an epoch in order, each when there is space; return when done.

        Raises
        ------
        ArtifactError
            If they cannot be read.
        """


class Stored(Protocol):
    """Packed ratings, which several engines may use."""

    @property
    def form(self) -> Form:
        """The fields of a record."""

    def window(self, workers: int) -> Window:
        """Return a window for an engine with some threads."""


class InMemory:
    """Packed ratings in memory, and a window that shows all of them."""

    order = None

    def __init__(self, packed: Packed) -> None:
        self.packed = packed

    @property
    def form(self) -> Form:
        return self.packed.form

    def window(self, workers: int) -> Window:
        return self

    def read(self, claims: Claims) -> None:
        pass


class OnDisk(NamedTuple):
    """Packed ratings on disk.

    Attributes
    ----------
    packed : callable
        Makes the `Packed` of bytes and the places of the blocks in them.
    order : int64 array, shape (blocks,)
        The numbers of the blocks in the order in which they are visited, which is that on disk.
    starts : int64 array, shape (blocks + 1,)
        Where these blocks begin in the space, and the end of the last one.
    space : Scratch
    blocks : int
        Number of all blocks; places of others are zero.
    form : Form
    """

    packed: Callable[[Bytes, Counts], Packed]
    order: Counts
    starts: Counts
    space: Scratch
    blocks: int
    form: Form

    def window(self, workers: int) -> Window:
        return _DiskWindow(self, workers)


class _DiskWindow:
    def __init__(self, stored: OnDisk, workers: int) -> None:
        self._stored, self.order = stored, stored.order
        self._bounds = _units(stored.starts, min(_READ, room() // _SHARE))
        longest = int(np.diff(stored.starts).max())
        sizes = np.diff(stored.starts[self._bounds])
        self._slot, slots = int(sizes.max()), slots_of(longest, int(sizes.max()), workers)
        self._slots = min(slots, len(sizes))
        data = np.empty(self._slots * self._slot, np.uint8)
        self.packed = stored.packed(data, np.zeros(stored.blocks, np.int64))

    def read(self, claims: Claims) -> None:
        for unit in range(len(self._bounds) - 1):
            while not (claims.stop[0] or self._is_free(unit, claims)):
                time.sleep(_PAUSE)
            if claims.stop[0]:
                return
            self._read(unit)
            mark_read(claims, self._bounds[unit + 1])

    def _is_free(self, unit: int, claims: Claims) -> bool:
        """Return whether the blocks are done that the slot of a unit held before."""
        before = unit - self._slots
        return before < 0 or claims.is_done(self.order[self._blocks(before)])

    def _read(self, unit: int) -> None:
        """Read consecutive blocks into the next slot."""
        blocks, to = self._blocks(unit), unit % self._slots * self._slot
        starts = self._stored.starts[blocks.start : blocks.stop + 1]
        data = self.packed.data[to : to + int(starts[-1] - starts[0])]
        self._stored.space.read(int(starts[0]), data)
        self.packed.places[self.order[blocks]] = to + starts[:-1] - starts[0]

    def _blocks(self, unit: int) -> slice:
        return slice(self._bounds[unit], self._bounds[unit + 1])


def slots_of(longest: int, unit: int, workers: int) -> int:
    """Return how many slots a window has, which does not change results.

    Each thread visits up to `STRATA` consecutive blocks; two slots are read ahead.
    """
    return min(_LEAST + workers * STRATA * longest // unit, _MOST)


def _units(starts: Counts, size: int) -> list[int]:
    """Group consecutive blocks into reads of about a size; return the first block of each.

    The last element is the number of blocks.
    """
    marks = np.arange(starts[0], starts[-1], max(size, PADDING))
    found = np.searchsorted(starts[:-1], marks)
    return [*np.unique(found[found < len(starts) - 1]).tolist(), len(starts) - 1]

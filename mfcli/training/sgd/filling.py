"""Copies ratings to their blocks: a counting sort, in memory or on disk.

In memory, all ratings are one chunk. On disk, each chunk is sorted in memory, and the part of each
block is appended to the block's place in the file. Blocks lie in the order in which they are
visited.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mfcli.data import CountedColumns
from mfcli.storage import Scratch, room
from mfcli.training.packing import PADDING, Codes
from mfcli.training.sgd.packed_ratings import (
    Bytes,
    Form,
    Packed,
    count_blocks,
    fill_blocks,
    numbered,
)
from mfcli.training.sgd.windows import InMemory, OnDisk, Stored
from mfcli.types import Counts, Floats, Rows

_SHARE = 4  # chunks would fit in the room for ratings, so that pieces of columns do, too
_LARGEST = 1 << 27  # bytes of a chunk: then the parts of blocks are long enough for a disk

Piece = tuple[Rows, Rows, Floats, Floats | None]
"""Users, items, ratings and perhaps weights of some ratings."""


class Layout(NamedTuple):
    """How ratings are packed into blocks.

    Attributes
    ----------
    users, items : int32 arrays, shape (n, 2)
        The group of each row and its number within the group.
    firsts : int32 array, shape (2, groups)
        See `Packed`.
    ratings, weights : Codes
    form : Form
    order : int64 array, shape (blocks,)
        The numbers of the blocks that are filled, in the order in which they are visited.
    """

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    firsts: NDArray[np.int32]
    ratings: Codes
    weights: Codes
    form: Form
    order: Counts

    @classmethod
    def of(
        cls,
        train: CountedColumns,
        group: tuple[NDArray[np.int32], NDArray[np.int32]],
        rows: tuple[NDArray[np.int32], NDArray[np.int32]],
        firsts: Counts,
        order: Counts,
    ) -> Layout:
        """Return the layout for the groups of users and items.

        Parameters
        ----------
        train : CountedColumns
        group : tuple of int32 arrays
            The group of each user, and of each item.
        rows : tuple of int32 arrays
            The users, and the items, in the order of their groups.
        firsts : int64 array, shape (2, groups + 1)
            Where each group begins in this order, and the number of rows.
        order : int64 array
            See `Layout`.
        """
        sizes, starts = np.diff(firsts), firsts[:, :-1].astype(np.int32)
        users, items = (numbered(*side) for side in zip(group, rows, starts, strict=True))
        ratings = Codes.of(train.pieces("rating"))
        ones = np.ones(1, np.float32)
        weights = Codes.of(train.pieces("weight")) if "weight" in train.types else Codes(ones)
        form = Form.of(int(sizes.max()), ratings.size, weights.size)
        return cls(users, items, starts, ratings, weights, form, order)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of strata and of user groups."""
        return self.firsts.shape[1], self.firsts.shape[1]

    def packed(self, data: Bytes, places: Counts) -> Packed:
        values = self.ratings.values, self.weights.values
        return Packed(data, places, self.firsts, self.form, *values)

    def starts(self, sizes: Counts) -> Counts:
        """Return where the records of blocks begin if these are their sizes in bytes, in order.

        The result has the end as the last element.
        """
        return np.append(0, np.cumsum(sizes[self.order] + PADDING))

    def places(self, sizes: Counts) -> Counts:
        """Return where the records of each block begin, by its number."""
        places = np.zeros(self.shape[0] ** 2, np.int64)
        places[self.order] = self.starts(sizes)[:-1]
        return places

    def counted(self, pieces: Iterable[Piece]) -> Counts:
        """Return the number of ratings of each block, shape (strata, user groups)."""
        counts = np.zeros(self.shape, np.int64)
        for user, item, *_ in pieces:
            count_blocks(user, item, self.users, self.items, counts)
        return counts

    def fill(self, pieces: Iterable[Piece], places: Counts, data: Bytes) -> None:
        """Write the records of ratings from the places of their blocks on."""
        to = places.reshape(self.shape).copy()
        for user, item, rating, weight in pieces:
            codes = self.ratings.encode(rating)
            more = codes[:0] if weight is None else self.weights.encode(weight)
            fill_blocks(user, item, codes, more, self.users, self.items, self.form, to, data)


def blocks_in_memory(train: CountedColumns, layout: Layout) -> tuple[Stored, Counts]:
    """Return the blocks of ratings and the number of ratings of each, by stratum and user group."""
    counts = layout.counted(_pieces(train, len(train)))
    sizes = counts.ravel() * layout.form.size
    places = layout.places(sizes)
    data = np.empty(int(layout.starts(sizes)[-1]), np.uint8)
    layout.fill(_pieces(train, len(train)), places, data)
    return InMemory(layout.packed(data, places)), counts


def blocks_on_disk(train: CountedColumns, layout: Layout, space: Scratch) -> tuple[Stored, Counts]:
    """Write the blocks of ratings to temporary space; see `blocks_in_memory`.

    Raises
    ------
    ArtifactError
        If they cannot be written.
    """
    most = max(min(room() // _SHARE, _LARGEST) // layout.form.size, 1)
    counts = [layout.counted(chunk) for chunk in _chunks(train, most)]
    total = np.sum(counts, axis=0)
    starts = layout.starts(total.ravel() * layout.form.size)
    offset = space.reserve(int(starts[-1]))
    space.write(offset + int(starts[-1]) - PADDING, bytes(PADDING))  # the rest may be a hole
    ends = offset + starts[:-1]  # of what is written of each block, in the order of visits
    for count, chunk in zip(counts, _chunks(train, most), strict=True):
        sizes = count.ravel() * layout.form.size
        data = np.empty(int(layout.starts(sizes)[-1]), np.uint8)
        layout.fill(chunk, layout.places(sizes), data)
        parts = zip(layout.starts(sizes).tolist(), sizes[layout.order].tolist(), strict=False)
        for n, (start, size) in enumerate(parts):
            if size:
                space.write(int(ends[n]), data[start : start + size])
        ends += sizes[layout.order]
    stored = OnDisk(layout.packed, layout.order, offset + starts, space, total.size, layout.form)
    return stored, total


def _pieces(train: CountedColumns, most: int) -> Iterator[Piece]:
    """Yield ratings in pieces of at most some size."""
    names = ["user", "item", "rating"]
    if "weight" in train.types:
        names.append("weight")
    for columns in zip(*(train.pieces(name) for name in names), strict=True):
        for start in range(0, len(columns[0]), most):
            user, item, rating, *weight = (column[start : start + most] for column in columns)
            yield user, item, rating, weight[0] if weight else None


def _chunks(train: CountedColumns, most: int) -> Iterator[Iterator[Piece]]:
    """Yield the pieces of consecutive ratings, fewer than twice as many as a number.

    The pieces of a chunk are used before the next chunk is asked for.
    """
    for _, chunk in groupby(_by_chunk(train, most), key=itemgetter(0)):
        yield (piece for _, piece in chunk)


def _by_chunk(train: CountedColumns, most: int) -> Iterator[tuple[int, Piece]]:
    start = 0
    for piece in _pieces(train, most):
        yield start // most, piece
        start += len(piece[0])

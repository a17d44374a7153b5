"""The packed ratings of blocks: their form, and the kernels that write and read them.

A record holds the user, the item, the rating and the weight. Users and items are numbered within
the groups of their block: two bytes suffice, unless a group has very many rows. Ratings and weights
are codes of their values (see `mfcli.training.packing`). After the records of each block there are
`PADDING` bytes, so that eight bytes can be read and written from any field on.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numba import types
from numpy.typing import NDArray

from mfcli.storage import array_type, inlined, kernel, tuple_type
from mfcli.training.packing import mask_of
from mfcli.training.sgd.rows import NARROW, WIDE, row_bytes
from mfcli.types import Counts, Floats, Rows
from mfcli.vectors import float_of_bits, load_word, store_word

WORD = 8
"""Bytes that are read and written at once."""

Bytes: TypeAlias = NDArray[np.uint8]
"""Records, block after block, each with its padding."""


class Form(NamedTuple):
    """The fields of a record.

    Attributes
    ----------
    size : int
        Bytes of a record.
    row : int
        Bytes of the user, and of the item: 2 or 4.
    rating, weight : int
        Masks of these fields; 0 for a field without bytes.
    weight_shift : int
        Bits of the rating.
    """

    size: int
    row: int
    rating: int
    weight: int
    weight_shift: int

    @classmethod
    def of(cls, rows: int, rating: int, weight: int) -> Form:
        """Return the form for groups of up to some number of rows, and codes of some bytes."""
        row = row_bytes(rows)
        size = 2 * row + rating + weight
        return cls(size, row, mask_of(rating), mask_of(weight), 8 * rating)

    @property
    def is_wide(self) -> bool:
        """Whether rows have four bytes."""
        return self.row == WIDE


class Packed(NamedTuple):
    """Packed ratings as kernels read them.

    The block of stratum s and user group g has number ``s * groups + g``.

    Attributes
    ----------
    data : uint8 array
    places : int64 array, shape (groups^2,)
        Where the first record of each block is in `data`.
    firsts : int32 array, shape (2, groups)
        The place, in a table of rows, of the first row of each user group and item group.
    form : Form
    ratings, weights : float32 arrays
        The value of each code; empty if codes are the bits of their values.
    """

    data: Bytes
    places: Counts
    firsts: NDArray[np.int32]
    form: Form
    ratings: Floats
    weights: Floats


_BYTES = array_type(types.uint8, 1)
_ROWS = array_type(types.int32, 1, readonly=True)
_BITS = array_type(types.uint32, 1, readonly=True)
_PAIRS = array_type(types.int32, 2)
_VALUES = array_type(types.float32, 1)
_COUNTS = array_type(types.int64, 2)
_FORM = tuple_type(Form, *(types.int64,) * len(Form._fields))

PACKED = tuple_type(Packed, _BYTES, array_type(types.int64, 1), _PAIRS, _FORM, _VALUES, _VALUES)
"""The type of `Packed` in kernels."""


@kernel(_ROWS, _ROWS, _PAIRS, _PAIRS, _COUNTS)
def count_blocks(user: Any, item: Any, users: Any, items: Any, counts: Any) -> None:
    """Add the ratings of each block to ``counts[stratum, user group]`` (int64).

    `user` and `item` are int32 columns of the ratings; `users` and `items` (int32, shape (n, 2))
    are the group of each row and its number within the group. Stratum s of user group g has the
    item group ``(g + s) % groups``.
    """
    groups = counts.shape[0]
    for n in range(len(user)):
        g = users[user[n], 0]
        counts[(items[item[n], 0] - g) % groups, g] += 1


@kernel(_ROWS, _ROWS, _BITS, _BITS, _PAIRS, _PAIRS, _FORM, _COUNTS, _BYTES)
def fill_blocks(
    user: Any, item: Any, rating: Any, weight: Any, users: Any, items: Any, form: Any,
    places: Any, out: Any,
) -> None:  # fmt: skip
    """Write the records of ratings to `out`.

    `rating` and `weight` (uint32) are codes; `weight` may be empty if it has no bytes. A record of
    a block goes to ``places[stratum, user group]`` (int64), which moves behind it.
    """
    groups = places.shape[0]
    for n in range(len(user)):
        u, i = user[n], item[n]
        g = users[u, 0]
        stratum = (items[i, 0] - g) % groups
        to = places[stratum, g]
        places[stratum, g] = to + form.size
        # Bytes beyond the record are those of the next one, which is written later, or padding.
        pair = np.uint64(users[u, 1]) | np.uint64(items[i, 1]) << np.uint64(8 * form.row)
        values = np.uint64(rating[n])
        if form.weight:
            values |= np.uint64(weight[n]) << np.uint64(form.weight_shift)
        store_word(out, to, pair)
        store_word(out, to + 2 * form.row, values)


@inlined
def pair_of(data: Any, at: Any, wide: Any) -> Any:
    """Return the user and the item, within their groups, of the record at a position.

    `wide` tells whether they have four bytes; it is a constant of the compiled code.
    """
    bits = 8 * (WIDE if wide else NARROW)
    word, mask = load_word(data, at), (np.uint64(1) << np.uint64(bits)) - np.uint64(1)
    return np.intp(word & mask), np.intp((word >> np.uint64(bits)) & mask)


@inlined
def slot_of(wide: Any, weighted: Any) -> Any:
    """Return the bytes in which a record is shuffled: one word, or two."""
    return 2 * WORD if wide or weighted else WORD


@inlined
def rating_of(packed: Any, data: Any, at: Any) -> Any:
    """Return the rating of the record at a position of some bytes."""
    word = load_word(data, at + 2 * packed.form.row)
    return _value(word & np.uint64(packed.form.rating), packed.ratings)


@inlined
def weight_of(packed: Any, data: Any, at: Any) -> Any:
    """Return the weight of the record at a position of some bytes."""
    word = load_word(data, at + 2 * packed.form.row) >> np.uint64(packed.form.weight_shift)
    return _value(word & np.uint64(packed.form.weight), packed.weights)


@inlined
def _value(code: Any, values: Any) -> Any:
    # The index is unsigned, so that no instruction looks for negative ones.
    return values[code] if len(values) else float_of_bits(np.int32(code))


def numbered(groups: NDArray[np.int32], rows: Rows, firsts: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the group of each row and its number within the group, shape (n, 2).

    Parameters
    ----------
    groups : int32 array, shape (n,)
        By row.
    rows : int32 array, shape (n,)
        The rows in the order of their groups.
    firsts : int32 array
        Where each group begins in this order.
    """
    pairs = np.empty((len(rows), 2), np.int32)
    pairs[:, 0] = groups
    pairs[rows, 1] = np.arange(len(rows), dtype=np.int32) - firsts[groups[rows]]
    return pairs

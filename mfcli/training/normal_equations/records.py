"""Records of packed ratings: how kernels read them, and how they are put in order.

A record holds the row of the other side, then the rating, then the square root of its weight, each
in as few bytes as suffice for all records (see `mfcli.training.packing`).
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numba import types
from numpy.typing import NDArray

from mfcli.storage import array_type, inlined, kernel, tuple_type
from mfcli.training.packing import PADDING, mask_of, width_of
from mfcli.types import Counts, Floats, Rows
from mfcli.vectors import float_of_bits, load_word, store_word

Bytes: TypeAlias = NDArray[np.uint8]
"""Records, and `PADDING` after them."""


class Form(NamedTuple):
    """The parts of a record.

    Attributes
    ----------
    size : int
        Bytes of a record, at most 12.
    other : int
        Mask of the row of the other side.
    shift : int
        Bits before the code of the rating.
    rating : int
        Mask of this code, after the shift.
    root_at : int
        Bytes before the code of the root.
    root : int
        Mask of this code; 0 if there is no root, or only one.
    """

    size: int
    other: int
    shift: int
    rating: int
    root_at: int
    root: int

    @classmethod
    def of(cls, others: int, rating: int, root: int) -> Form:
        """Return the form for a number of other rows, and codes of some bytes."""
        other = width_of(others)
        return cls(
            size=other + rating + root,
            other=mask_of(other),
            shift=8 * other,
            rating=mask_of(rating),
            root_at=other + rating,
            root=mask_of(root),
        )


class Records(NamedTuple):
    """The ratings of consecutive rows, row by row, as kernels read them.

    Attributes
    ----------
    starts : int64 array, shape (n + 1,)
        Row u has the ratings ``starts[u]`` to ``starts[u + 1] - 1``.
    base : int
        Number of the first rating.
    data : uint8 array
    form : Form
    ratings, roots : float32 arrays
        The values of the codes; empty if codes are the bits of their values.
    """

    starts: Counts
    base: int
    data: Bytes
    form: Form
    ratings: Floats
    roots: Floats


_FORM = tuple_type(Form, *(types.int64,) * len(Form._fields))
_BYTES = array_type(types.uint8, 1)
_FLOATS = array_type(types.float32, 1)
_BITS = array_type(types.uint32, 1, readonly=True)
_ROWS = array_type(types.int32, 1, readonly=True)
_COUNTS = array_type(types.int64, 1)

RECORDS = tuple_type(Records, _COUNTS, types.int64, _BYTES, _FORM, _FLOATS, _FLOATS)
"""The type of `Records` in kernels."""


@inlined
def other_of(records: Any, n: Any) -> Any:
    """Return the row of the other side of rating number n."""
    word = load_word(records.data, (n - records.base) * records.form.size)
    return np.intp(word & np.uint64(records.form.other))


@inlined
def rating_of(records: Any, n: Any) -> Any:
    """Return the value of rating number n."""
    form = records.form
    word = load_word(records.data, (n - records.base) * form.size)
    return _value(np.int64(word >> np.uint64(form.shift)) & form.rating, records.ratings)


@inlined
def root_of(records: Any, n: Any) -> Any:
    """Return the square root of the weight of rating number n, which has one."""
    form = records.form
    word = load_word(records.data, (n - records.base) * form.size + form.root_at)
    return _value(np.int64(word) & form.root, records.roots)


@inlined
def _value(code: Any, values: Any) -> Any:
    return values[code] if len(values) else float_of_bits(np.int32(code))


def roots_of(records: Records) -> Floats:
    """Return the square roots of the weights of all ratings, which have weights."""
    out = np.empty((len(records.data) - PADDING) // records.form.size, np.float32)
    _decode_roots(records, out)
    return out


@kernel(RECORDS, _FLOATS)
def _decode_roots(records: Any, out: Any) -> None:
    for n in range(len(out)):
        out[n] = root_of(records, records.base + n)


def empty_records(count: int, size: int) -> Bytes:
    """Return uninitialized bytes for some records of a size, and the padding."""
    return np.empty(count * size + PADDING, np.uint8)


def packed(
    others: Rows, ratings: NDArray[np.uint32], roots: NDArray[np.uint32], form: Form
) -> Bytes:
    """Return records of rows and codes; roots are not read if the form has none."""
    out = empty_records(len(others), form.size)
    _pack(others, ratings, roots, form, out)
    return out


@kernel(_ROWS, _BITS, _BITS, _FORM, _BYTES)
def _pack(others: Any, ratings: Any, roots: Any, form: Any, out: Any) -> None:
    for n in range(len(others)):
        word = np.uint64(others[n]) | np.uint64(ratings[n]) << np.uint64(form.shift)
        store_word(out, n * form.size, word)
        if form.root:
            store_word(out, n * form.size + form.root_at, np.uint64(roots[n]))


@kernel(_ROWS, _BYTES, types.int64, _COUNTS, types.int64, _BYTES)
def place(keys: Any, records: Any, size: Any, places: Any, base: Any, out: Any) -> None:
    """Copy records of a size to their places, a step of a stable counting sort.

    The record with key r goes to ``places[r]`` (int64), which is then increased. The place `base`
    is the start of `out`.
    """
    for n in range(len(keys)):
        to = places[keys[n]]
        places[keys[n]] = to + 1
        for at in range(0, size, 8):
            source, target = n * size + at, (to - base) * size + at
            word = load_word(records, source)
            if size - at < 8:  # the other bytes belong to other records
                kept = ~np.uint64(0) << np.uint64(8 * (size - at))
                word = (word & ~kept) | (load_word(out, target) & kept)
            store_word(out, target, word)


@kernel(_ROWS, _ROWS, _COUNTS, array_type(types.int32, 1))
def place_rows(keys: Any, rows: Any, places: Any, out: Any) -> None:
    """Copy row numbers to their places, as `place` does."""
    for n in range(len(keys)):
        out[places[keys[n]]] = rows[n]
        places[keys[n]] += 1


@kernel(_ROWS, _COUNTS)
def count(rows: Any, counts: Any) -> None:
    """Add the number of ratings of each row."""
    for n in range(len(rows)):
        counts[rows[n]] += 1


@kernel(_ROWS, array_type(types.float32, 1, readonly=True), array_type(types.float64, 1))
def add_weights(rows: Any, weights: Any, sums: Any) -> None:
    """Add the weights of the ratings of each row."""
    for n in range(len(rows)):
        sums[rows[n]] += np.float64(weights[n])

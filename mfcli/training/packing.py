"""Numbers in few bytes: rows in as many as their count needs, values in one where few differ.

A record of several numbers is a part of an array of bytes, which compiled code reads with
`load_word`: eight bytes from any position on, of which it keeps the lowest. Such arrays have
`PADDING` bytes after the last record. Bytes are in little-endian order.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from mfcli.data import counted_values
from mfcli.storage import array_type, kernel
from mfcli.training.number_widths import mask_of as mask_of, width_of as width_of
from mfcli.types import Floats

PADDING = 8
"""Bytes after the last record of an array of records."""

_MOST = 256  # values in one byte
_SLOTS = 1 << 12  # a power of two, many times the number of values
_SHIFT = np.uint64(52)  # leaves as many bits of 64 as a slot has
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # Fibonacci hashing: 2**64 divided by the golden ratio

_BITS = array_type(types.uint32, 1)
_READ_BITS = array_type(types.uint32, 1, readonly=True)
_CODES = array_type(types.int16, 1)


class Codes:
    """How the float32 values of a column are stored, so that they are read with the same bits.

    Parameters
    ----------
    values : float32 array, optional
        The distinct values of the column; None if there are very many.

    Attributes
    ----------
    size : int
        Bytes of a code: 0 for a single value, 1 for at most 256, otherwise 4.
    values : float32 array, shape (m,)
        The value of each code. Empty if a code is the bits of its value.
    """

    def __init__(self, values: Floats | None) -> None:
        is_short = values is not None and 0 < len(values) <= _MOST
        self.values = values if values is not None and is_short else np.empty(0, np.float32)
        self.size = min(len(self.values) - 1, 1) if is_short else 4
        self._bits = np.zeros(_SLOTS, np.uint32)
        self._codes = np.full(_SLOTS, -1, np.int16)
        _enter(self.values.view(np.uint32), self._bits, self._codes)

    @classmethod
    def of(cls, pieces: Iterable[Floats]) -> Codes:
        """Return the codes of a column that is read piece by piece."""
        found = counted_values(pieces)
        return cls(found[0] if found else None)

    def encode(self, piece: Floats) -> NDArray[np.uint32]:
        """Return the codes of some values of the column."""
        bits = np.ascontiguousarray(piece).view(np.uint32)
        if self.size == 4:
            return bits
        codes = np.empty(len(bits), np.uint32)
        _look_up(bits, self._bits, self._codes, codes)
        return codes


@kernel(_READ_BITS, _BITS, _CODES)
def _enter(values: Any, bits: Any, codes: Any) -> None:
    """Enter values into an empty hash table, in which the code -1 is an empty slot."""
    for n in range(len(values)):
        slot = (np.uint64(values[n]) * _FACTOR) >> _SHIFT
        while codes[slot] >= 0:
            slot = (slot + np.uint64(1)) & np.uint64(_SLOTS - 1)
        bits[slot], codes[slot] = values[n], n


@kernel(_READ_BITS, _READ_BITS, array_type(types.int16, 1, readonly=True), _BITS)
def _look_up(values: Any, bits: Any, codes: Any, out: Any) -> None:
    for n in range(len(values)):
        value = values[n]
        slot = (np.uint64(value) * _FACTOR) >> _SHIFT
        while codes[slot] >= 0 and bits[slot] != value:
            slot = (slot + np.uint64(1)) & np.uint64(_SLOTS - 1)
        out[n] = codes[slot]

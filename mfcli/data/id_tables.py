"""Numbers for ids, in the order of their first appearance: hash tables in compiled code.

A table has two numbers per slot: a key, which is the id itself or the hash of a text, and the row
of the id plus one; 0 marks an empty slot. The search for an id begins at the slot that its key
tells, and ends at the id or at an empty slot. Texts with equal hashes are compared byte by byte, so
collisions cost time, but never change a result.
"""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import pyarrow as pa
from numba import types
from numpy.typing import NDArray

from mfcli.data.arrow_arrays import text_bounds, to_arrow, to_numpy
from mfcli.data.words import first_bytes, word_at
from mfcli.storage import array_type, check_memory, inlined, kernel
from mfcli.types import Rows
from mfcli.vectors import prefetch_value

_LEAST = 1 << 13  # numbers in a table: two per slot
_PER_ID = 4  # numbers in a table per id, or more: at most half of the slots are full
_LETTERS = 1 << 16  # bytes of all texts together, at first
_SMALL = np.uint64(1 << 22)  # ids below this are positions in an array
_GROUP = 32  # ids that are numbered together

# SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): each bit of a key changes half of the bits.
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_30, _27, _31 = map(np.uint64, (30, 27, 31))
_1 = np.uint64(1)

_INTEGERS = array_type(types.int64, 1)
_GIVEN = array_type(types.int64, 1, readonly=True)
_ROWS = array_type(types.int32, 1)
_TEXT = array_type(types.uint8, 1)
_GIVEN_TEXT = array_type(types.uint8, 1, readonly=True)
_BOUNDS = array_type(types.int32, 1, readonly=True)


class IdTable(ABC):
    """Numbers ids from 0, in the order of their first appearance.

    Parameters
    ----------
    ids : Arrow array of int64 or string
        Distinct; they get the first numbers.
    """

    def __init__(self, ids: pa.Array) -> None:
        self._slots = np.zeros(_LEAST, np.int64)
        # Nobody can prepare ids that collide, since nobody knows the seed.
        self._seed = np.uint64(secrets.randbits(64))
        # How many values of a call are numbered, how many ids are known, and their letters.
        self._done = np.zeros(3, np.int64)
        self.numbers(ids)

    def numbers(self, ids: pa.Array) -> Rows:
        """Return the number of each id; new ids get the next numbers.

        Raises
        ------
        LimitError
            If there is not enough memory for more ids.
        """
        rows = np.empty(len(ids), np.int32)
        self._done[0] = 0
        while self._done[0] < len(ids):
            self._number(ids, rows)
            if self._done[0] < len(ids):
                self._grow()
        return rows

    @abstractmethod
    def ids(self) -> pa.Array:
        """Return the ids in the order of their numbers."""

    @abstractmethod
    def _number(self, ids: pa.Array, rows: Rows) -> None:
        """Number ids from position `_done[0]` on, and stop when there is no more room."""

    @abstractmethod
    def _grow(self) -> None:
        """Make room for more ids.

        Raises
        ------
        LimitError
            If there is not enough memory.
        """

    def _check_memory(self, need: int) -> None:
        check_memory(need, f"numbering {self._done[1]:,} ids", "read fewer ratings")

    def _grow_slots(self) -> None:
        self._check_memory(3 * self._slots.nbytes)  # new ones, and what else grows with them
        old, self._slots = self._slots, np.zeros(2 * len(self._slots), np.int64)
        _move(old, self._seed, self._slots)


class IntegerTable(IdTable):
    """Numbers int64 ids. Small ones, which most files have, need no hashing."""

    def __init__(self, ids: pa.Array) -> None:
        self._known = np.empty(_LEAST // _PER_ID, np.int64)
        self._small = np.zeros(int(_SMALL), np.int32)  # the row of each small id plus one
        super().__init__(ids)

    def ids(self) -> pa.Array:
        return to_arrow(self._known[: self._done[1]].copy())

    def _number(self, ids: pa.Array, rows: Rows) -> None:
        _number_integers(
            to_numpy(ids), self._seed, self._small, self._slots, self._known, self._done, rows
        )

    def _grow(self) -> None:
        self._grow_slots()
        self._known = _longer(self._known, len(self._slots) // _PER_ID)


class TextTable(IdTable):
    """Numbers text ids; none is empty."""

    def __init__(self, ids: pa.Array) -> None:
        # The text of number n is the letters ends[n] to ends[n + 1].
        self._ends = np.zeros(_LEAST // _PER_ID + 1, np.int64)
        self._letters = np.empty(_LETTERS, np.uint8)
        super().__init__(ids)

    def ids(self) -> pa.Array:
        _, count, size = self._done.tolist()
        buffers = [None, pa.py_buffer(self._ends[: count + 1]), pa.py_buffer(self._letters[:size])]
        large = pa.Array.from_buffers(pa.large_string(), count, buffers)
        return large.cast(pa.string())  # which checks that 32 bits are enough for the bounds

    def found(self, ids: pa.Array) -> Rows:
        """Return the number of each id; -1 for unknown ones, which stay so.

        It can be called from several threads at once.
        """
        rows = np.full(len(ids), -1, np.int32)
        if len(ids):
            text, bounds = np.frombuffer(ids.buffers()[2], np.uint8), text_bounds(ids)
            _find_texts(text, bounds, self._seed, self._slots, self._letters, self._ends, rows)
        return rows

    def _number(self, ids: pa.Array, rows: Rows) -> None:
        text = np.frombuffer(ids.buffers()[2], np.uint8)
        bounds = text_bounds(ids)
        _number_texts(
            text, bounds, self._seed, self._slots, self._letters, self._ends, self._done, rows
        )

    def _grow(self) -> None:
        if self._done[1] < len(self._slots) // _PER_ID:  # so there are too few letters
            self._check_memory(2 * self._letters.nbytes)
            self._letters = _longer(self._letters, 2 * len(self._letters))
            return
        self._grow_slots()
        self._ends = _longer(self._ends, len(self._slots) // _PER_ID + 1)


def table_of(ids: pa.Array) -> IdTable:
    """Return a table for ids of the type of the given ones, which get the first numbers."""
    return TextTable(ids) if ids.type == pa.string() else IntegerTable(ids)


def _longer(values: NDArray[Any], length: int) -> NDArray[Any]:
    longer = np.empty(length, values.dtype)
    longer[: len(values)] = values
    return longer


@inlined
def _mixed(key: Any) -> Any:
    key = (key ^ (key >> _30)) * _FIRST
    key = (key ^ (key >> _27)) * _SECOND
    return key ^ (key >> _31)


@inlined
def _first_place(key: Any, seed: Any, slots: Any) -> Any:
    """Return the place of the key of the slot at which the search for a key begins."""
    return (_mixed(np.uint64(key) ^ seed) << _1) & np.uint64(len(slots) - 1)


@inlined
def _next_place(place: Any, slots: Any) -> Any:
    return (place + _1 + _1) & np.uint64(len(slots) - 1)


@kernel(_INTEGERS, types.uint64, _INTEGERS)
def _move(old: Any, seed: Any, new: Any) -> None:
    """Enter all keys of a table into a larger one, which is empty."""
    for at in range(0, len(old), 2):
        if old[at + 1] != 0:
            place = _first_place(old[at], seed, new)
            while new[place + _1] != 0:
                place = _next_place(place, new)
            new[place] = old[at]
            new[place + _1] = old[at + 1]


@kernel(_GIVEN, types.uint64, _ROWS, _INTEGERS, _INTEGERS, _INTEGERS, _ROWS)
def _number_integers(
    values: Any, seed: Any, small: Any, slots: Any, known: Any, done: Any, rows: Any
) -> None:
    at, count = done[0], done[1]
    places = np.empty(_GROUP, np.uint64)
    while at < len(values) and count < len(known):
        group = min(_GROUP, len(values) - at, len(known) - count)
        # The places of a group are loaded at once: to wait for each takes longer than all else.
        for n in range(group):
            value = np.uint64(values[at + n])
            if value < _SMALL:
                prefetch_value(small, value)
            else:
                places[n] = _first_place(value, seed, slots)
                prefetch_value(slots, places[n])
        for n in range(group):
            value = values[at + n]
            if np.uint64(value) < _SMALL:
                row = np.int64(small[np.uint64(value)])
                if row == 0:
                    small[np.uint64(value)] = count + 1
            else:
                row = _found(value, places[n], slots, count + 1)
            if row == 0:
                known[count] = value
                count += 1
                row = count
            rows[at + n] = row - 1
        at += group
    done[0], done[1] = at, count


@inlined
def _found(key: Any, place: Any, slots: Any, new: Any) -> Any:
    """Return the row of a key plus one; 0 if it is unknown, and enter it with the number `new`."""
    row = slots[place + _1]
    while row != 0 and slots[place] != key:
        place = _next_place(place, slots)
        row = slots[place + _1]
    if row == 0:
        slots[place] = key
        slots[place + _1] = new
    return row


@inlined
def _word(text: Any, at: Any, length: Any) -> Any:
    """Return the first eight bytes of the rest of a text, of which `length` bytes are left."""
    word = word_at(text, at)
    return first_bytes(word, length) if length < 8 else word


@inlined
def _hash(text: Any, start: Any, length: Any, seed: Any) -> Any:
    key = seed ^ np.uint64(length)
    for at in range(0, length, 8):
        key = _mixed(key ^ _word(text, start + at, length - at))
    return np.int64(key)


@inlined
def _equal(one: Any, at_one: Any, two: Any, at_two: Any, length: Any) -> Any:
    for at in range(0, length, 8):
        left = length - at
        if _word(one, at_one + at, left) != _word(two, at_two + at, left):
            return False
    return True


@inlined
def _known_text(
    text: Any, start: Any, length: Any, key: Any, place: Any, slots: Any, letters: Any, ends: Any
) -> Any:
    """Return the number of a text from 1, or 0 if it is unknown, and its place in the table."""
    row = slots[place + _1]
    while row != 0:
        same = slots[place] == key and ends[row] - ends[row - 1] == length
        if same and _equal(text, start, letters, ends[row - 1], length):
            break
        place = _next_place(place, slots)
        row = slots[place + _1]
    return row, place


@kernel(_GIVEN_TEXT, _BOUNDS, types.uint64, _INTEGERS, _TEXT, _INTEGERS, _INTEGERS, _ROWS)
def _number_texts(
    text: Any,
    bounds: Any,
    seed: Any,
    slots: Any,
    letters: Any,
    ends: Any,
    done: Any,
    rows: Any,
) -> None:
    at, count, size = done[0], done[1], done[2]
    keys, places = np.empty(_GROUP, np.int64), np.empty(_GROUP, np.uint64)
    while at < len(rows) and count < len(ends) - 1:
        group = min(_GROUP, len(rows) - at, len(ends) - 1 - count)
        if size + bounds[at + group] - bounds[at] > len(letters):
            break
        for n in range(group):
            start = np.int64(bounds[at + n])
            keys[n] = _hash(text, start, bounds[at + n + 1] - start, seed)
            places[n] = _first_place(keys[n], seed, slots)
            prefetch_value(slots, places[n])
        for n in range(group):  # the same for the texts that probably are the same
            place = places[n]
            row = slots[place + _1]
            while row != 0 and slots[place] != keys[n]:
                place = _next_place(place, slots)
                row = slots[place + _1]
            places[n] = place
            prefetch_value(ends, np.uint64(row))
        for n in range(group):
            start, key, place = np.int64(bounds[at + n]), keys[n], places[n]
            length = bounds[at + n + 1] - start
            row, place = _known_text(text, start, length, key, place, slots, letters, ends)
            if row == 0:
                for letter in range(length):
                    letters[size + letter] = text[start + letter]
                size += length
                count += 1
                ends[count] = size
                row = count
                slots[place] = key
                slots[place + _1] = row
            rows[at + n] = row - 1
        at += group
    done[0], done[1], done[2] = at, count, size


@kernel(_GIVEN_TEXT, _BOUNDS, types.uint64, _INTEGERS, _TEXT, _INTEGERS, _ROWS)
def _find_texts(
    text: Any, bounds: Any, seed: Any, slots: Any, letters: Any, ends: Any, rows: Any
) -> None:
    """Set the rows of the texts that are known."""
    keys, places = np.empty(_GROUP, np.int64), np.empty(_GROUP, np.uint64)
    for at in range(0, len(rows), _GROUP):
        group = min(_GROUP, len(rows) - at)
        for n in range(group):
            start = np.int64(bounds[at + n])
            keys[n] = _hash(text, start, bounds[at + n + 1] - start, seed)
            places[n] = _first_place(keys[n], seed, slots)
            prefetch_value(slots, places[n])
        for n in range(group):
            start = np.int64(bounds[at + n])
            length = bounds[at + n + 1] - start
            row, _ = _known_text(text, start, length, keys[n], places[n], slots, letters, ends)
            if row != 0:
                rows[at + n] = row - 1

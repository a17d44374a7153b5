"""Finds the rows of raw ids, again and again."""

from __future__ import annotations

import functools
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mfcli.data import Vocabulary, found_as_text, plain_integers, positions, to_numpy
from mfcli.types import Rows

if TYPE_CHECKING:
    from mfcli.data import TextTable

_LARGE = 1 << 19  # a vocabulary of more ids is hashed only once
_SPARSE = 16  # most integers for each id of a vocabulary that are looked up in an array


class IdFinder:
    """Finds rows as `Vocabulary.rows` does, but repeatedly; from several threads at once.

    Integers that are close together are looked up in an array. For other ids, Arrow hashes the
    vocabulary in every call, without Python's lock. That is cheap compared to the other work on a
    piece of a file, unless the vocabulary is large. Then it is hashed once, by compiled code.

    Parameters
    ----------
    vocabulary : Vocabulary
    single : bool
        Whether few ids are looked up in a call, so that the vocabulary is always hashed once.
    """

    def __init__(self, vocabulary: Vocabulary, *, single: bool = False) -> None:
        self._vocabulary, self._places = vocabulary, _places(vocabulary)
        self._is_hashed_once = single or len(vocabulary) > _LARGE
        self._lock = Lock()

    def __call__(self, ids: pa.Array) -> Rows:
        """Return the rows of ids; -1 where an id is unknown.

        Parameters
        ----------
        ids : Arrow array of int64 or string, length n

        Returns
        -------
        int32 array, shape (n,)
        """
        numbers = None if self._places is None else _integers(ids)
        if self._places is not None and numbers is not None:
            # Places before the first and beyond the last number are the last entry, -1.
            return self._places[np.where(numbers < len(self._places), numbers, -1)]
        if ids.type == self._vocabulary.ids.type and not self._is_hashed_once:
            return positions(ids, self._vocabulary.ids)
        # As text, so that 42 finds "42", as in `Vocabulary.rows`.
        find = self._find_in_table if self._is_hashed_once else self._find
        return found_as_text(ids.cast(pa.string()), find, self._vocabulary)

    def _find(self, texts: pa.Array) -> Rows:
        return positions(texts, self._texts)

    def _find_in_table(self, texts: pa.Array) -> Rows:
        with self._lock:  # of the threads that need it first, one makes it
            table = self._table
        return table.found(texts)

    @functools.cached_property
    def _texts(self) -> pa.Array:
        return self._vocabulary.ids.cast(pa.string())

    @functools.cached_property
    def _table(self) -> TextTable:
        from mfcli.data import TextTable  # loads Numba, which few ids are not worth

        return TextTable(self._texts)


def _integers(ids: pa.Array) -> NDArray[np.int64] | None:
    """Return ids as integers from 0 if all of them are."""
    if ids.type == pa.string():
        return plain_integers(ids)
    numbers = to_numpy(ids)
    return numbers if len(numbers) and numbers.min() >= 0 else None


def _places(vocabulary: Vocabulary) -> Rows | None:
    """Return the row of each integer from 0; -1 for unknown ones and at the end.

    None if the ids are text, or integers that are negative or far apart.
    """
    if vocabulary.ids.type != pa.int64() or not len(vocabulary):
        return None
    numbers = to_numpy(vocabulary.ids)
    if numbers.min() < 0 or numbers.max() > _SPARSE * len(numbers):
        return None
    places = np.full(int(numbers.max()) + 2, -1, np.int32)
    places[numbers] = np.arange(len(numbers), dtype=np.int32)
    return places

"""Vocabularies: which raw id has which row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

import mfcli.data.compute as pc
from mfcli.data.arrow_arrays import to_arrow, to_arrow_mask, to_numpy
from mfcli.data.ids import without_point_zero
from mfcli.errors import UnknownIdError
from mfcli.storage import release
from mfcli.types import Counts, Rows

_COUNTED = 1 << 18  # rows that are counted together


@dataclass(frozen=True)
class Vocabulary:
    """The raw ids of users or items; the position of an id is its row in every table.

    It is also a table, with the columns `id`, `count` and those in `columns`. Any library that
    reads Arrow takes it: ``model.users.to_pandas()``, ``polars.DataFrame(model.users)``.

    Attributes
    ----------
    ids : Arrow array of int64 or string, length n
        Distinct, in the order in which they first appear in the ratings.
    counts : int64 array, shape (n,)
        Number of training ratings of each id.
    columns : mapping of arrays, shapes (n,) and (n, k)
        More columns of the table: `bias` and `factors` in a model.
    """

    ids: pa.Array
    counts: Counts
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.counts)

    def __repr__(self) -> str:
        names = ", ".join(("id", "count", *self.columns))
        return f"Vocabulary({len(self):,} {self.ids.type} ids; columns {names})"

    def to_arrow(self) -> pa.Table:
        """Return the table in Arrow's format; rows of arrays of shape (n, k) become lists."""
        more = {name: _column(values) for name, values in self.columns.items()}
        return pa.table({"id": self.ids, "count": to_arrow(self.counts), **more})

    def to_pandas(self) -> Any:
        """Return the table as a pandas DataFrame."""
        return self.to_arrow().to_pandas()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Export the table to any library that reads Arrow (the Arrow PyCapsule protocol)."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def with_columns(self, **columns: NDArray[Any]) -> Vocabulary:
        """Return the same ids and counts with these columns in place of others."""
        return Vocabulary(self.ids, self.counts, columns)

    def rows(self, ids: pa.Array) -> Rows:
        """Return the rows of raw ids; -1 where an id is unknown.

        Ids of the other type are compared as text, so that 42 finds "42" and "42" finds 42; "42.0"
        finds 42 too.

        Parameters
        ----------
        ids : Arrow array of int64 or string, length n

        Returns
        -------
        int32 array, shape (n,)
        """
        known = self.ids
        if ids.type != known.type:
            known, ids = known.cast(pa.string()), ids.cast(pa.string())
            return found_as_text(ids, lambda texts: positions(texts, known), self)
        if ids is known:  # as when a vocabulary is matched with itself
            return np.arange(len(known), dtype=np.int32)
        return positions(ids, known)

    def counting(self, rows: Rows) -> Vocabulary:
        """Return the same ids with the number of times that each row occurs in `rows`."""
        return Vocabulary(self.ids, counts_of(rows, len(self)))

    def without_empty(self, rows: Rows) -> tuple[Vocabulary, Rows]:
        """Drop the ids with a count of zero, and also return `rows` in the new numbering."""
        full = self.counts > 0
        number = np.cumsum(full, dtype=np.int32) - 1  # the new row of each id that stays
        return Vocabulary(self.ids.filter(to_arrow_mask(full)), self.counts[full]), number[rows]


def counts_of(rows: NDArray[Any], size: int) -> Counts:
    """Return how often each number from 0 to `size` - 1 occurs; no other one may occur.

    Parameters
    ----------
    rows : integer array, shape (n,)
    size : int

    Returns
    -------
    int64 array, shape (size,)
    """
    counts = np.zeros(size, np.int64)
    # In parts, because NumPy makes a copy with numbers of 64 bits.
    step = max(_COUNTED, size)
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        counts += np.bincount(part, minlength=size)
        if part.flags.c_contiguous:
            release(part)
    return counts


def _column(values: NDArray[Any]) -> pa.Array:
    flat = to_arrow(values.ravel())
    return flat if values.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


def positions(values: pa.Array, among: pa.Array) -> Rows:
    """Return the positions of values among distinct values of the same type; -1 if absent."""
    found = pc.index_in(values, value_set=among)
    # `fill_null` would import pandas.
    known = to_numpy(pc.is_valid(found).cast(pa.int32()))
    return np.where(known, to_numpy(found), np.int32(-1))


def found_as_text(ids: pa.Array, find: Callable[[pa.Array], Rows], vocabulary: Vocabulary) -> Rows:
    """Return the rows of ids as texts in a vocabulary; if its ids are integers, "42.0" finds 42.

    Parameters
    ----------
    ids : Arrow array of string, length n
    find : callable
        Returns the rows of texts that are equal to ids of the vocabulary; -1 for others.
    vocabulary : Vocabulary

    Returns
    -------
    int32 array, shape (n,)
    """
    rows = find(ids)
    unknown = rows < 0
    if vocabulary.ids.type == pa.int64() and unknown.any():
        rows[unknown] = find(without_point_zero(ids.filter(to_arrow_mask(unknown))))
    return rows


class Translation:
    """Turns rows of one vocabulary into rows of another; -1 for ids that the other one lacks.

    Parameters
    ----------
    source, target : Vocabulary
    """

    def __init__(self, source: Vocabulary, target: Vocabulary) -> None:
        # The usual case, and much cheaper than to look every id up.
        same = target.ids.equals(source.ids)
        self._rows = None if same else target.rows(source.ids)

    def __call__(self, rows: Rows) -> Rows:
        return rows if self._rows is None else self._rows[rows]


def united(first: Vocabulary, second: Vocabulary) -> tuple[Vocabulary, Rows]:
    """Append the ids that only `second` has, and also return the new rows of all its ids.

    Ids of different types become text.
    """
    rows = first.rows(second.ids)
    new = rows < 0
    # New ids follow those of `first`, in the order of `second`.
    rows[new] = np.arange(len(first), len(first) + np.count_nonzero(new), dtype=np.int32)
    ids = [first.ids, second.ids.filter(to_arrow_mask(new))]
    if first.ids.type != second.ids.type:
        ids = [part.cast(pa.string()) for part in ids]
    counts = np.concatenate([first.counts, second.counts[new]])
    return Vocabulary(pa.concat_arrays(ids), counts), rows


def find_rows(vocabulary: Vocabulary, ids: pa.Array, what: str) -> Rows:
    """Return the rows of raw ids that must be known.

    Parameters
    ----------
    vocabulary : Vocabulary
    ids : Arrow array of int64 or string, length n
    what : str
        "user" or "item", for the message.

    Returns
    -------
    int32 array, shape (n,)

    Raises
    ------
    UnknownIdError
        For the first id that is not in the vocabulary.
    """
    rows = vocabulary.rows(ids)
    if (rows < 0).any():  # argmax of a mask is its first true entry
        raise unknown_id(vocabulary, ids[int(np.argmax(rows < 0))].as_py(), what)
    return rows


def unknown_id(
    vocabulary: Vocabulary,
    unknown: int | str,
    what: str,
    place: str | None = None,
    remedy: str = "",
) -> UnknownIdError:
    """Return the error for an id that is not in a vocabulary.

    It suggests an id that differs only in case or in blanks around it.

    Parameters
    ----------
    vocabulary : Vocabulary
    unknown : int or str
    what : str
        "user" or "item".
    place : str, optional
        File and line of the id.
    remedy : str
        What to do if there is no such id.
    """
    rule = f"{what} {unknown!r} is not among the model's {len(vocabulary):,} {what}s"
    similar = _similar(vocabulary, str(unknown))
    suggestion = remedy if similar is None else f"did you mean {similar!r}?"
    return UnknownIdError(rule, place=place, remedy=suggestion)


def _similar(vocabulary: Vocabulary, unknown: str) -> int | str | None:
    # A pass over all ids, which only an error needs.
    plain = pc.utf8_lower(pc.utf8_trim_whitespace(vocabulary.ids.cast(pa.string())))
    found = pc.index(plain, unknown.strip().lower()).as_py()
    similar: int | str | None = vocabulary.ids[found].as_py() if found >= 0 else None
    return similar

"""The rows of users to recommend to and of items to choose from; titles of items."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from mfcli.data import (
    Vocabulary,
    find_rows,
    id_array,
    read_ids,
    to_texts,
    unknown_id,
)
from mfcli.errors import Param, Text, UnknownIdError, warn
from mfcli.model import fractions_below
from mfcli.predict.list_reading import DEFAULT, ListReading
from mfcli.types import Rows


def all_rows(vocabulary: Vocabulary) -> Rows:
    """Return the rows of all ids.

    Returns
    -------
    int32 array, shape (n,)
    """
    return np.arange(len(vocabulary), dtype=np.int32)


def listed_rows(
    vocabulary: Vocabulary,
    what: str,
    ids: Sequence[str],
    file: Path | None = None,
    reading: ListReading = DEFAULT,
) -> Rows:
    """Return the rows of ids, followed by the rows of the known ids in a file, each row once.

    Parameters
    ----------
    vocabulary : Vocabulary
    what : {"user", "item"}
        For messages.
    ids : sequence of str
    file : Path, optional
        As for `read_ids`.
    reading : ListReading

    Returns
    -------
    int32 array, shape (n,)

    Warns
    -----
    MfcliWarning
        If some ids in the file, but not all, are not in the vocabulary.

    Raises
    ------
    DataError
        If the file cannot be read.
    UnknownIdError
        For the first of `ids` that is not in the vocabulary; if all ids in the file are not, or
        with ``strict``, some.
    """
    rows = find_rows(vocabulary, to_texts(ids), what)
    if file is not None:
        rows = np.concatenate([rows, _rows_in(vocabulary, what, file, reading)])
    # Texts that differ may be the same id: "42" and "42.0".
    _, first = np.unique(rows, return_index=True)
    return rows[np.sort(first)]


def _rows_in(vocabulary: Vocabulary, what: str, file: Path, reading: ListReading) -> Rows:
    """Return the rows of the known ids in a file."""
    columns, names = reading.columns, reading.names
    ids = read_ids(file, what, reading.encoding, columns=columns, names=names, known=vocabulary)
    remedy: Text = ["if they are in another column, choose it with ", Param(f"columns.{what}")]
    return known_rows(vocabulary, what, ids, file, strict=reading.strict, remedy=remedy)


def known_rows(
    vocabulary: Vocabulary,
    what: str,
    ids: pa.Array,
    place: object,
    *,
    strict: bool = False,
    remedy: Text = "",
) -> Rows:
    """Return the rows of the ids that are known; the others are counted in a warning or refused.

    Parameters
    ----------
    vocabulary : Vocabulary
    what : {"user", "item"}
        For messages.
    ids : Arrow array of int64 or string, length n
    place : object
        The file of the ids or the name of the argument, for messages.
    strict : bool
        Refuse unknown ids.
    remedy : Text
        What to do if all ids are unknown.

    Returns
    -------
    int32 array, shape (m,)

    Warns
    -----
    MfcliWarning
        If some ids, but not all, are unknown.

    Raises
    ------
    UnknownIdError
        If all ids are unknown, or with `strict` some.
    """
    rows = vocabulary.rows(ids)
    unknown = rows < 0
    if not unknown.any():
        return rows
    first = ids[int(np.argmax(unknown))].as_py()
    if len(ids) == 1:
        raise unknown_id(vocabulary, first, what, str(place))
    count = np.count_nonzero(unknown)
    verb = "is" if count == 1 else "are"
    rule = (
        f"{count:,} of {len(ids):,} {what}s {verb} not among the model's"
        f" {len(vocabulary):,} {what}s"
    )
    # Some unknown ids are usual in a long list; if all are unknown, the list is probably wrong.
    if unknown.all():
        raise UnknownIdError(f"{rule}, such as {first!r}", place=place, remedy=remedy)
    if strict:
        remedy = ["correct the list, or omit ", Param("strict"), " to skip them"]
        raise UnknownIdError(f"{rule}, such as {first!r}", place=place, remedy=remedy)
    warn(f"{rule} and {verb} skipped; the first is {first!r}", place=place)
    return rows[~unknown]


def trained_row(vocabulary: Vocabulary, what: str, name: int | str) -> Rows:
    """Return the row of an id that has training ratings.

    Returns
    -------
    int32 array, shape (1,)

    Raises
    ------
    UnknownIdError
        If the id is not in the vocabulary or has no training ratings.
    """
    row = find_rows(vocabulary, id_array([name], what), what)
    check_trained(vocabulary, what, int(row[0]), name)
    return row


def check_trained(vocabulary: Vocabulary, what: str, row: int, name: int | str) -> None:
    """Refuse a row without training ratings, whose factors no rating has changed.

    Raises
    ------
    UnknownIdError
    """
    if not vocabulary.counts[row]:
        raise UnknownIdError(f"{what} {name!r} has no training ratings, so its factors are unknown")


def candidates(
    items: Vocabulary, listed: Rows | None, min_count: int, max_popularity: float = 1
) -> Rows | None:
    """Return the rows of the items that may be recommended; None if all may.

    Parameters
    ----------
    items : Vocabulary
    listed : int32 array, optional
        Only these items.
    min_count : int
        Only items with at least this many training ratings.
    max_popularity : float
        Only items such that at most this fraction of all items has fewer training ratings; items
        with equally many count half.

    Returns
    -------
    int32 array, shape (n,), or None
        Ascending.
    """
    if listed is None and not min_count and max_popularity == 1:
        return None
    allowed = items.counts >= min_count
    if max_popularity < 1:
        allowed &= fractions_below(items.counts) <= max_popularity
    if listed is not None:
        # A mask, since the result is in ascending order.
        mask = np.zeros(len(items), np.bool_)
        mask[listed] = True
        allowed &= mask
    return np.flatnonzero(allowed).astype(np.int32)

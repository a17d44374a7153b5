"""The rows of users to recommend to and of items to choose from; titles of items."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mfcli.data import Vocabulary, find_rows, read_ids, read_titles, unknown_id
from mfcli.errors import UnknownIdError, warn
from mfcli.types import Rows


def all_rows(vocabulary: Vocabulary) -> Rows:
    """Return the rows of all ids.

    Returns
    -------
    int32 array, shape (n,)
    """
    return np.arange(len(vocabulary), dtype=np.int32)


def listed_rows(
    vocabulary: Vocabulary, what: str, ids: Sequence[str], file: Path | None = None
) -> Rows:
    """Return the rows of ids, followed by the rows of the known ids in a file.

    Parameters
    ----------
    vocabulary : Vocabulary
    what : {"user", "item"}
        For messages.
    ids : sequence of str
    file : Path, optional
        With one id per line.

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
        For the first of `ids` that is not in the vocabulary, or if all ids in the file are not.
    """
    rows = find_rows(vocabulary, pa.array(ids, pa.string()), what)
    if file is None:
        return rows
    return np.concatenate([rows, _known_rows(vocabulary, what, read_ids(file), file)])


def _known_rows(vocabulary: Vocabulary, what: str, ids: pa.Array, file: Path) -> Rows:
    rows = vocabulary.rows(ids)
    unknown = rows < 0
    if not unknown.any():
        return rows
    first = ids[int(np.argmax(unknown))].as_py()
    if unknown.all():
        raise unknown_id(vocabulary, first, what, str(file))
    warn(
        f"{np.count_nonzero(unknown):,} of {len(ids):,} {what}s are not among the model's"
        f" {len(vocabulary):,} {what}s and are skipped; the first is {first!r}",
        place=file,
    )
    return rows[~unknown]


def trained_row(vocabulary: Vocabulary, what: str, name: str) -> Rows:
    """Return the row of an id that has training ratings.

    Returns
    -------
    int32 array, shape (1,)

    Raises
    ------
    UnknownIdError
        If the id is not in the vocabulary or has no training ratings.
    """
    row = find_rows(vocabulary, pa.array([name], pa.string()), what)
    if not vocabulary.counts[row[0]]:
        raise UnknownIdError(f"{what} {name!r} has no training ratings, so its factors are unknown")
    return row


def candidates(items: Vocabulary, file: Path | None, min_count: int) -> Rows | None:
    """Return the rows of the items that may be recommended; None if all may.

    Parameters
    ----------
    items : Vocabulary
    file : Path, optional
        With the id of one item per line; only these items.
    min_count : int
        Only items with at least this many training ratings.

    Returns
    -------
    int32 array, shape (n,), or None
        Ascending.

    Raises
    ------
    DataError, UnknownIdError
        As `listed_rows`.
    """
    if file is None and not min_count:
        return None
    allowed = items.counts >= min_count
    if file is not None:
        listed = np.zeros(len(items), np.bool_)
        listed[listed_rows(items, "item", (), file)] = True
        allowed &= listed
    return np.flatnonzero(allowed).astype(np.int32)


def with_titles(table: pa.Table, file: Path) -> pa.Table:
    """Add the column `title` to a table with the column `item`; empty where there is none.

    Raises
    ------
    DataError
        If the file of titles cannot be read.
    """
    known = read_titles(file)
    ids = table["item"].combine_chunks().cast(known["id"].type)
    place = pc.index_in(ids, value_set=known["id"].combine_chunks())
    titles = known["title"].combine_chunks().take(place)
    return table.append_column("title", pc.fill_null(titles, ""))

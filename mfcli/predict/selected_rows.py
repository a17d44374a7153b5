"""The rows of users to recommend to and of items to choose from; titles of items."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mfcli.data import Vocabulary, find_rows, read_ids, read_titles
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
    """Return the rows of ids, followed by the rows of the ids in a file.

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

    Raises
    ------
    DataError
        If the file cannot be read.
    UnknownIdError
        For the first id that is not in the vocabulary.
    """
    parts = [pa.array(ids, pa.string()), *([read_ids(file)] if file else [])]
    return find_rows(vocabulary, pa.concat_arrays(parts), what)


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

"""Titles in tables of listed items."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mfcli.data import Vocabulary, positions, read_titles, to_arrow, to_arrow_mask
from mfcli.errors import warn


class ListedTitles:
    """Adds titles to tables of items, and counts items that have none.

    The parameters are those of `read_titles`.

    Raises
    ------
    DataError
        If the file of titles cannot be read.
    """

    def __init__(
        self,
        file: Path,
        encoding: str = "utf-8",
        *,
        title_columns: Mapping[str, str] | None = None,
        names: Mapping[str, str] | None = None,
    ) -> None:
        self._file = file
        self._known = read_titles(file, encoding, title_columns=title_columns, names=names)
        # The distinct items of each column so far, and those without a title.
        self._listed: dict[str, pa.Array] = {}
        self._missing: dict[str, pa.Array] = {}

    def added(self, table: pa.Table) -> pa.Table:
        """Add titles to a table; they are empty where there is none.

        The column `title` is at the end, but before explanations: `because_1`, `because_1_title`
        and so on.
        """
        return with_title_columns(table, self._titles_of)

    def _titles_of(self, names: Sequence[str], columns: Sequence[pa.Array]) -> list[pa.Array]:
        """Return a column of titles for each column of items."""
        distinct = pa.concat_arrays(columns).unique().drop_null()
        listed = Vocabulary(distinct, np.zeros(len(distinct), np.int64))
        rows = listed.rows(self._known["id"].combine_chunks())
        position = np.full(len(distinct) + 1, -1)  # of the title of each item; the last is for none
        # Only items of the table: the file may hold the titles of a whole catalog.
        position[rows[rows >= 0]] = np.flatnonzero(rows >= 0)
        missing = distinct.filter(to_arrow_mask(position[:-1] < 0))
        for name, items in zip(names, columns, strict=True):
            own = items.unique().drop_null()
            _extend(self._listed, name, own)
            _extend(self._missing, name, own.filter(pc.is_in(own, value_set=missing)))
        titles = self._known["title"].combine_chunks()
        return [_taken(titles, position[positions(items, distinct)]) for items in columns]

    def warn(self) -> None:
        """Warn of the items of all tables that have no title."""
        missing, listed = _distinct(self._missing), _distinct(self._listed)
        if len(missing):
            example = missing[0].as_py()
            counts = f"{len(missing):,} of {len(listed):,} listed items"
            warn(
                f"has no title for {counts}, such as {example!r}",
                place=self._file,
                remedy="check that its ids are those of the ratings"
                if len(missing) == len(listed)
                else "",
            )


def with_title_columns(
    table: pa.Table, titles_of: Callable[[list[str], list[pa.Array]], list[pa.Array]]
) -> pa.Table:
    """Add a column of titles after the items of a table, and after each item that explains them.

    Parameters
    ----------
    table : Arrow table
        With a column `item` and, perhaps, `because_1` and so on.
    titles_of : callable
        Given the names of such columns and the columns, returns titles for each of them.
    """
    reasons = [name for name in table.column_names if re.fullmatch("because_[0-9]+", name)]
    names = ["item", *reasons]
    titles = titles_of(names, [table[name].combine_chunks() for name in names])
    place = table.column_names.index(reasons[0]) if reasons else len(table.column_names)
    table = table.add_column(place, "title", titles[0])
    for name, column in zip(reasons, titles[1:], strict=True):
        table = table.add_column(table.column_names.index(name) + 1, f"{name}_title", column)
    return table


def with_titles(table: pa.Table, file: Path, encoding: str = "utf-8", **how: Any) -> pa.Table:
    """Add titles to a table of items; the parameters are those of `ListedTitles`."""
    titles = ListedTitles(file, encoding, **how)
    titled = titles.added(table)
    titles.warn()
    return titled


def _extend(items: dict[str, pa.Array], name: str, others: pa.Array) -> None:
    """Append others to the distinct items of a column."""
    items[name] = pa.concat_arrays([items.get(name, others[:0]), others]).unique()


def _distinct(items: Mapping[str, pa.Array]) -> pa.Array:
    """Return the distinct items of all columns, in their order."""
    return pa.concat_arrays(items.values()).unique() if items else pa.nulls(0)


def _taken(titles: pa.Array, position: NDArray[np.int64]) -> pa.Array:
    """Return the titles at some positions, and an empty text for -1."""
    taken = titles.take(to_arrow(position, position >= 0))
    return pc.if_else(pc.is_valid(taken), taken, "")

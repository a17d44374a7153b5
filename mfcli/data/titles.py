"""Files of titles of items."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from mfcli.data.arrow_arrays import one_array
from mfcli.data.faults import SkippedRows
from mfcli.data.formats.encodings import UTF8
from mfcli.data.formats.layout import Layout
from mfcli.data.formats.parts import find_layouts
from mfcli.data.formats.separators import COLONS
from mfcli.data.side_tables import WESTERN, decodable, read_texts, side_names
from mfcli.data.sources import open_sources
from mfcli.errors import Param, warn

_MOVIELENS = ("|", COLONS)  # separators of u.item and movies.dat


def read_titles(
    path: Path,
    encoding: str = UTF8,
    *,
    title_columns: Mapping[str, str] | None = None,
    names: Mapping[str, str] | None = None,
) -> pa.Table:
    """Read the titles of items.

    Parameters
    ----------
    path : Path
        A file as for `read_ratings`, such as `u.item`, `movies.dat` and `movies.csv` of MovieLens.
        Without a header, the first column holds the ids and the second one the titles.
    encoding : str
        As for `read_ratings`. A text that is not UTF-8 is read as Windows-1252 by default.
    title_columns : mapping of str, optional
        Names of the columns "item" (ids) and "title"; positions from 1 without a header.
    names : mapping of str, optional
        Names of the columns of the ratings, which are looked for first.

    Returns
    -------
    Arrow table
        Columns `title` and `id`, both strings, exactly as in the file. Ids are distinct.

    Warns
    -----
    MfcliWarning
        If titles may be misread, rows are invalid and skipped, or an item has several titles.

    Raises
    ------
    DataError
        If the file cannot be read or lacks a column, or all of its rows are invalid.
    """
    with open_sources([path], encoding) as files:
        texts = [decodable(file) for file in files]
        roles = ("item", "title")
        layouts = find_layouts(texts, title_columns, needed=roles, aliases=side_names(names))
        _warn_of_encoding(layouts)
        if not title_columns:
            _warn_of_cut_titles(layouts[0])
        table = pa.concat_tables([_sound_rows(layout) for layout in layouts]).combine_chunks()
    title, item = one_array(table["title"]), one_array(table["item"])
    first = pc.index_in(item.unique(), value_set=item)  # of equal ids, the position of the first
    if len(first) < len(item):
        _warn_of_other_titles(path, item, title, first)
    return pa.table({"title": title.take(first), "id": item.take(first)})


def _sound_rows(layout: Layout) -> pa.Table:
    """Read a file without its invalid rows: some titles are better than none."""
    skipped = SkippedRows(layout.place)
    table = read_texts(layout, skipped)
    if not len(table):
        skipped.refuse()
    skipped.warn()
    return table


def _warn_of_encoding(layouts: list[Layout]) -> None:
    """Warn of a guessed encoding, except for the older files of MovieLens, which are Latin-1."""
    for layout in layouts:
        is_movielens = not layout.header and layout.separator in _MOVIELENS
        if layout.file.encoding == WESTERN and not is_movielens:
            warn(
                f"is not UTF-8 text, so its titles are read as {WESTERN}",
                place=layout.file,
                remedy=["if they look wrong, use another ", Param("encoding")],
            )
            return


def _warn_of_cut_titles(layout: Layout) -> None:
    """Warn if titles may contain the separator: `7,Heat, The` is one title without quotes."""
    if not layout.header and layout.separator == "," and len(layout.names) > 2:
        warn(
            f"the second of {len(layout.names)} columns is read as the titles",
            place=layout.file,
            remedy="put titles that contain commas in quotes, or write a header: item,title",
        )


def _warn_of_other_titles(path: Path, item: pa.Array, title: pa.Array, first: pa.Array) -> None:
    # The title that is used, for each row: that of the first row with the same id.
    titles = title.take(first).take(pc.index_in(item, value_set=item.take(first)))
    differ = item.filter(pc.not_equal(title, titles)).unique()
    if len(differ):
        rule = f"has several titles for {len(differ):,} items; the first of each is used"
        warn(rule, place=path, value=differ[0].as_py())

"""Small files that accompany ratings: lists of ids, and titles of items, all read as text."""

from __future__ import annotations

import csv
import io
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from mfcli.data.arrow_arrays import one_array, to_texts
from mfcli.data.checked_columns import sound_columns
from mfcli.data.faults import stopping
from mfcli.data.formats.columnar import TablePiece
from mfcli.data.formats.columns import ALIASES
from mfcli.data.formats.encodings import UTF8, guess_remedy
from mfcli.data.formats.layout import Layout
from mfcli.data.formats.parts import find_layout, find_layouts
from mfcli.data.formats.strict_text import plain_pairs
from mfcli.data.formats.tables import table_pieces
from mfcli.data.formats.text import Refused, TextPiece, read_text
from mfcli.data.ids import empty_ids
from mfcli.data.sources import EmptyFileError, File, open_sources
from mfcli.errors import DataError, warn

_NAMES = {
    "user": (*ALIASES["user"], "id"),
    "item": (*ALIASES["item"], "id"),
    "title": ("title", "name", "movie_title", "book_title"),
}
"""Known names of columns, in lower case."""


def read_ids(path: Path, role: str, encoding: str = UTF8) -> pa.Array:
    """Read a list of ids, each once.

    Parameters
    ----------
    path : Path
        A text with one id per line, in which blank lines are ignored and which may be empty; or a
        text or Parquet file as for `read_ratings`, with a header that names the column of ids.
    role : {"user", "item"}
    encoding : str
        As for `read_ratings`.

    Returns
    -------
    Arrow array of string

    Raises
    ------
    DataError
        If the file cannot be read or is not text in the encoding, or it has a header but no such
        column.
    """
    try:
        with open_sources([path], encoding) as files:
            ids = pa.concat_arrays([_ids_in(file, role) for file in files])
    except EmptyFileError:  # as a program writes a request for nobody
        return to_texts([])
    distinct = ids.unique()
    if len(distinct) < len(ids):
        repeated = f"{len(ids) - len(distinct):,} of {len(ids):,} {role}s"
        warn(f"repeats {repeated}; each is used once", place=path)
    return distinct


def _ids_in(file: File, role: str) -> pa.Array:
    try:
        layout = find_layout(file, needed=(role,), aliases=_NAMES)
    except EmptyFileError:  # other parts of a folder may hold ids
        return to_texts([])
    if layout.header:
        return one_array(_read(layout)[role])
    # Without a header, a line is one id, even if it contains separators.
    lines = [line.strip() for line in _lines_of(file)]
    return to_texts([_unquoted(line) for line in lines if line])


def _lines_of(file: File) -> list[str]:
    with file.reading() as (stream, _):
        content = stream.read()
    try:
        # `str.splitlines` would also split ids at rare characters, such as U+2028.
        return list(io.StringIO(content.decode("utf-8-sig"), newline=None))
    except UnicodeDecodeError as error:
        raise DataError(
            "must be UTF-8 text with one id per line", place=file, remedy=guess_remedy(content)
        ) from error


def _unquoted(line: str) -> str:
    """Return the text of a line that is one field in quotes; of others, the line."""
    if len(line) < 2 or line[0] != '"' or line[-1] != '"':
        return line
    fields = next(csv.reader(io.StringIO(line)))
    return fields[0] if len(fields) == 1 else line


def read_titles(path: Path, encoding: str = UTF8) -> pa.Table:
    """Read the titles of items.

    Parameters
    ----------
    path : Path
        A file as for `read_ratings`. Without a header, the first column holds the ids and the
        second one the titles.
    encoding : str
        As for `read_ratings`.

    Returns
    -------
    Arrow table
        Columns `title` and `id`, both strings, exactly as in the file. Ids are distinct.

    Raises
    ------
    DataError
        If the file cannot be read or lacks a column, or for the first invalid row.
    """
    with open_sources([path], encoding) as files:
        layouts = find_layouts(files, needed=("item", "title"), aliases=_NAMES)
        _warn_of_cut_titles(layouts[0])
        table = pa.concat_tables([_read(layout) for layout in layouts]).combine_chunks()
    title, item = one_array(table["title"]), one_array(table["item"])
    first = pc.index_in(item.unique(), value_set=item)  # of equal ids, the position of the first
    if len(first) < len(item):
        _warn_of_other_titles(path, item, title, first)
    return pa.table({"title": title.take(first), "id": item.take(first)})


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


def _read(layout: Layout) -> pa.Table:
    """Read the columns of the roles as text; an id must not be empty."""
    if layout.format != "text":
        pieces = [
            _texts_of(layout, piece)
            for piece, _ in table_pieces(layout.file, layout.format, [*layout.roles.values()])
        ]
    else:
        strictly = partial(plain_pairs, layout, on_fault=stopping(layout.place), utf8=True)
        pieces = [piece for piece, _ in read_text(layout, _parsed, strictly, 1)]
    # A file without rows has no pieces, and tables cannot be joined without a schema.
    empty = pa.schema([(role, pa.string()) for role in layout.columns]).empty_table()
    return pa.concat_tables([empty, *pieces])


def _parsed(piece: TextPiece) -> pa.Table:
    columns = piece.layout.columns
    parsed = piece.parse(dict.fromkeys(columns.values(), pa.string()))
    found = {role: parsed[position] for role, position in columns.items()}
    if any(empty_ids(ids).any() for role, ids in found.items() if role != "title"):
        raise Refused
    return pa.table(found)


def _texts_of(layout: Layout, piece: TablePiece) -> pa.Table:
    columns = {role: piece.table[name] for role, name in layout.roles.items()}
    ids = {role: column for role, column in columns.items() if role != "title"}
    stop = stopping(layout.place)
    texts = sound_columns(layout.file, layout.roles, ids, stop, piece.before, piece.invalid)
    if "title" in columns:
        title = one_array(columns["title"]).cast(pa.string())
        # A missing title is empty, as in a text.
        texts["title"] = pc.if_else(pc.is_valid(title), title, "")
    return pa.table({role: column.cast(pa.string()) for role, column in texts.items()})

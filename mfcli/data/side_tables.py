"""Small files that accompany ratings, such as lists of ids and titles: their columns as text."""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mfcli.data.arrow_arrays import one_array, to_arrow_mask
from mfcli.data.checked_columns import sound_columns
from mfcli.data.faults import Fault, OnFault, stopping
from mfcli.data.formats.columnar import TablePiece
from mfcli.data.formats.columns import ALIASES, ID, Aliases, plain_name
from mfcli.data.formats.encodings import UTF8
from mfcli.data.formats.layout import Layout
from mfcli.data.formats.strict_text import plain_pairs
from mfcli.data.formats.tables import table_pieces
from mfcli.data.formats.text import Refused, TextPiece, read_text
from mfcli.data.ids import empty_ids
from mfcli.data.sources import HEAD, File, is_columnar

WESTERN = "cp1252"
"""Windows-1252, in which the letters of Latin-1 have the same codes."""

_TITLES = (
    "title",
    "name",
    *("movie_title", "book_title", "item_title", "product_title", "song_title", "original_title"),
    *("movie_name", "book_name", "item_name", "product_name", "track_name", "artist_name"),
    *("anime_name", "joke_text"),
)
"""Known names of the column of titles, as `plain_name` writes them."""


def side_names(names: Mapping[str, str] | None) -> Aliases:
    """Return the known names of the columns of ids and titles; the first found is used.

    Parameters
    ----------
    names : mapping of str, optional
        Names of the columns "user" and "item" in the ratings. They come first, but are not
        required.
    """
    # A position is the name of a column without a name.
    given = {role: plain_name(name) for role, name in (names or {}).items() if not name.isdigit()}
    ids = {role: (*ALIASES[role], ID) for role in ("user", "item")}
    return {
        **{role: (given[role], *known) if role in given else known for role, known in ids.items()},
        "title": _TITLES,
    }


def decodable(file: File) -> File:
    """Return a text that is to be read as UTF-8, but is not, with the encoding `WESTERN`."""
    if file.encoding != UTF8 or is_columnar(file) or _is_utf8(file):
        return file
    return replace(file, encoding=WESTERN)


def _is_utf8(file: File) -> bool:
    decoder = codecs.getincrementaldecoder(UTF8)()
    with file.reading() as (stream, _):
        try:
            while block := stream.read(HEAD):
                decoder.decode(block)
            decoder.decode(b"", True)
        except UnicodeDecodeError:
            return False
    return True


def read_texts(layout: Layout, on_fault: OnFault | None = None) -> pa.Table:
    """Read the columns of the roles as text.

    Parameters
    ----------
    layout : Layout
    on_fault : callable, optional
        Called for each invalid row, which is skipped; by default, the first one is an error.

    Returns
    -------
    Arrow table
        A column of strings for each role. Titles may be empty, and missing titles are.

    Raises
    ------
    DataError
        If the file cannot be read, or for the first row without an id.
    """
    skip = on_fault or stopping(layout.place)
    if layout.format != "text":
        pieces = [
            _texts_of(layout, piece, skip)
            for piece, _ in table_pieces(layout.file, layout.format, [*layout.roles.values()])
        ]
    else:
        strictly = partial(plain_pairs, layout, on_fault=skip, utf8=True)
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


def _texts_of(layout: Layout, piece: TablePiece, on_fault: OnFault) -> pa.Table:
    columns = {role: piece.table[name] for role, name in layout.roles.items()}
    ids = {role: column for role, column in columns.items() if role != "title"}
    faulty: list[int] = []

    def skip(number: int, fault: Fault, fields: Sequence[str]) -> None:
        on_fault(number, fault, fields)
        faulty.append(number - piece.before - 1)

    texts = sound_columns(layout.file, layout.roles, ids, skip, piece.before, piece.invalid)
    if "title" in columns:
        title = one_array(columns["title"]).cast(pa.string())
        sound = np.isin(np.arange(len(title)), faulty, invert=True)
        # A missing title is empty, as in a text.
        texts["title"] = pc.if_else(pc.is_valid(title), title, "").filter(to_arrow_mask(sound))
    return pa.table({role: column.cast(pa.string()) for role, column in texts.items()})

"""Lists of ids of users or items."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from mfcli.data.arrow_arrays import one_array, to_texts
from mfcli.data.formats.columns import Aliases
from mfcli.data.formats.encodings import UTF8, guess_remedy
from mfcli.data.formats.layout import Layout
from mfcli.data.formats.numbers import is_number
from mfcli.data.formats.parts import find_layout
from mfcli.data.side_tables import decodable, read_texts, side_names
from mfcli.data.sources import EmptyFileError, File, open_sources
from mfcli.data.vocabulary import Vocabulary
from mfcli.errors import DataError, Param, warn

_MOST = 0.5  # fraction of the fields of a column that must be known ids


def read_ids(
    path: Path,
    role: str,
    encoding: str = UTF8,
    *,
    columns: Mapping[str, str] | None = None,
    names: Mapping[str, str] | None = None,
    known: Vocabulary | None = None,
) -> pa.Array:
    """Read a list of ids, each once.

    Parameters
    ----------
    path : Path
        A text with one id per line, in which blank lines are ignored and which may be empty; or a
        text or Parquet file as for `read_ratings` with a column of ids, which may repeat.
    role : {"user", "item"}
    encoding : str
        As for `read_ratings`.
    columns : mapping of str, optional
        Name of the column of the role, or its position from 1 without a header.
    names : mapping of str, optional
        Names of the columns of the ratings, which are looked for first.
    known : Vocabulary, optional
        Ids of the role. They tell whether a line without a header is one id or several fields, and
        whether the first line is a name.

    Returns
    -------
    Arrow array of string

    Raises
    ------
    DataError
        If the file cannot be read or is not text in the encoding, it has a header but no such
        column, or it is uncertain which column holds the ids.
    """
    chosen = {role: columns[role]} if columns and role in columns else None
    aliases = side_names(names)
    try:
        with open_sources([path], encoding) as files:
            ids = pa.concat_arrays([_ids_in(file, role, chosen, aliases, known) for file in files])
    except EmptyFileError:  # as a program writes a request for nobody
        return to_texts([])
    distinct = ids.unique()
    if len(distinct) < len(ids):
        repeated = f"{len(ids) - len(distinct):,} of {len(ids):,} {role}s"
        warn(f"repeats {repeated}; each is used once", place=path)
    return distinct


def _ids_in(
    file: File,
    role: str,
    chosen: Mapping[str, str] | None,
    aliases: Aliases,
    known: Vocabulary | None,
) -> pa.Array:
    try:
        layout = find_layout(decodable(file), chosen, needed=(role,), aliases=aliases)
    except EmptyFileError:  # other parts of a folder may hold ids
        return to_texts([])
    if len(layout.names) == 1:  # in other columns, a wrong encoding does not matter
        layout = replace(layout, file=file)
    if chosen or layout.is_named:
        return _column(layout, role)
    # Without names, a line is one id, even if it contains separators, unless no line is an id.
    lines = [line.strip() for line in _lines_of(layout.file)]
    ids = to_texts([_unquoted(line) for line in lines if line])
    if known is None:
        return ids
    if len(layout.names) > 1 and not (known.rows(ids) >= 0).any():
        ids = _likely_column(layout, role, known)
    return _without_name(ids, known)


def _column(layout: Layout, role: str) -> pa.Array:
    ids = one_array(read_texts(layout)[role])
    # In a table, a user or item may have several rows.
    return ids.unique() if len(layout.names) > 1 else ids


def _likely_column(layout: Layout, role: str, known: Vocabulary) -> pa.Array:
    """Return the first or second column, whichever holds known ids.

    Items are first in a table of items and second in ratings; users are first in both.
    """
    # Titles may be empty, and so may be the second field of a row.
    both = read_texts(replace(layout, columns={role: 0, "title": 1}))
    columns = [one_array(both[name]).unique() for name in (role, "title")]
    likely = [ids for ids in columns if np.mean(known.rows(ids) >= 0) > _MOST]
    if len(likely) == 2 and role == "item":
        raise DataError(
            f"has {len(layout.names)} columns without names, and two of them may be the items",
            place=layout.file,
            remedy=["choose with ", Param("columns.item", "1"), " or ", Param("columns.item", "2")],
        )
    return likely[0] if likely else columns[0]


def _without_name(ids: pa.Array, known: Vocabulary) -> pa.Array:
    """Leave out the first id if it probably names the column: all others are numbers."""
    if known.ids.type != pa.int64() or len(ids) < 2 or is_number(ids[0].as_py(), "."):
        return ids
    return ids[1:] if all(is_number(text, ".") for text in ids[1:].to_pylist()) else ids


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

"""Small files that accompany ratings: lists of ids, and titles of items. All of them are text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv

from mfcli.data.arrow_arrays import one_array, to_texts
from mfcli.data.formats.layout import ALIASES
from mfcli.errors import DataError

_TITLES = ("title", "name")


def read_ids(path: Path) -> pa.Array:
    """Read ids from a text with one id per line; blank lines are ignored.

    Returns
    -------
    Arrow array of string

    Raises
    ------
    DataError
        If the file cannot be read or is not UTF-8 text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", place=path) from error
    except UnicodeDecodeError as error:
        raise DataError("must be UTF-8 text with one id per line", place=path) from error
    return to_texts([line.strip() for line in text.splitlines() if line.strip()])


def read_titles(path: Path) -> pa.Table:
    """Read the titles of items from a CSV file with a header.

    Returns
    -------
    Arrow table
        Columns `title` and `id`, both strings, exactly as in the file.

    Raises
    ------
    DataError
        If the file cannot be read or lacks a column.
    """
    parse = pacsv.ParseOptions(newlines_in_values=True)
    try:
        with pacsv.open_csv(path, parse_options=parse) as start:
            names = start.schema.names
        title = _column(path, names, "title", _TITLES)
        item = _column(path, names, "item", ALIASES["item"])
        convert = pacsv.ConvertOptions(
            include_columns=[title, item],
            column_types={title: pa.string(), item: pa.string()},
            strings_can_be_null=False,
        )
        table = pacsv.read_csv(path, parse_options=parse, convert_options=convert)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"cannot be read: {str(error).splitlines()[0]}", place=path) from error
    return pa.table({"title": one_array(table[title]), "id": one_array(table[item])})


def _column(path: Path, names: Sequence[str], role: str, aliases: tuple[str, ...]) -> str:
    for alias in aliases:
        for name in names:
            if name.strip().lower() == alias:
                return name
    raise DataError(f"has no {role} column; its columns are {', '.join(names)}", place=path)

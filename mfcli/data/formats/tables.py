"""Formats with typed columns: Parquet, Arrow (Feather) and JSON lines, behind one interface."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from mfcli.data.formats.arrow_ipc import arrow_pieces, arrow_rows, arrow_schema
from mfcli.data.formats.columnar import TablePiece
from mfcli.data.formats.json_lines import is_json_lines, json_pieces, json_schema
from mfcli.data.formats.parquet import parquet_pieces, parquet_rows, parquet_schema
from mfcli.data.sources import COLUMNAR, File

_SCHEMAS = {"parquet": parquet_schema, "arrow": arrow_schema, "json": json_schema}
_ROWS = {"parquet": parquet_rows, "arrow": arrow_rows}  # JSON would have to be parsed
_PIECES = {"parquet": parquet_pieces, "arrow": arrow_pieces, "json": json_pieces}


def table_format(file: File, head: bytes) -> str:
    """Return the format of a file with typed columns; empty for a text.

    Parameters
    ----------
    file : File
    head : bytes
        Its first bytes.

    Raises
    ------
    DataError
        If the file is JSON that is not written as one object per line.
    """
    # The content decides, since names and suffixes are often wrong.
    columnar = next((kind for magic, kind in COLUMNAR.items() if head.startswith(magic)), "")
    return columnar or ("json" if is_json_lines(file, head) else "")


def table_schema(file: File, format: str) -> pa.Schema:
    """Return the names and types of the columns.

    Raises
    ------
    DataError
        If the file is damaged.
    """
    return _SCHEMAS[format](file)


def table_rows(file: File, format: str) -> int | None:
    """Return the number of rows; None if the format does not tell.

    Raises
    ------
    DataError
        If the file is damaged.
    """
    return _ROWS[format](file) if format in _ROWS else None


def table_pieces(
    file: File, format: str, columns: Sequence[str] | None = None
) -> Iterator[tuple[TablePiece, int]]:
    """Read a file piece by piece; the arguments and results are those of `parquet_pieces`."""
    return _PIECES[format](file, columns)

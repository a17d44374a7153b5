"""Small files beside the ratings: lists of ids, and titles of items."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from mfcli.data.formulas import guarded
from mfcli.data.layout import ALIASES
from mfcli.errors import DataError, UsageError
from mfcli.storage import replacing_file

TITLES = ("title", "name")
_SUFFIXES = (".csv", ".parquet")


def read_ids(path: Path) -> pa.Array:
    """Read ids as text, one a line; blank lines do not count.

    Raises
    ------
    DataError
        If the file cannot be read or is no UTF-8 text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: must be UTF-8 text with one id a line") from error
    return pa.array([line.strip() for line in text.splitlines() if line.strip()], pa.string())


def read_titles(path: Path) -> pa.Table:
    """Read the columns `id` and `title`, both text, of a CSV of items.

    The columns are found by name, the id as in ratings.

    Raises
    ------
    DataError
        If the file cannot be read or lacks a column.
    """
    try:
        table = pacsv.read_csv(path, parse_options=pacsv.ParseOptions(newlines_in_values=True))
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from error
    names = [
        _column(path, table.column_names, role, aliases)
        for role, aliases in (("title", TITLES), ("item", ALIASES["item"]))
    ]
    columns = [table[name].cast(pa.string()).combine_chunks() for name in names]
    return pa.table({"title": columns[0], "id": columns[1]})


def _column(path: Path, names: list[str], role: str, aliases: tuple[str, ...]) -> str:
    for alias in aliases:
        for name in names:
            if name.strip().lower() == alias:
                return name
    raise DataError(f"{path}: has no {role} column; its columns are {', '.join(names)}")


def check_table_suffix(path: Path) -> None:
    """Refuse a table of an unknown kind.

    Raises
    ------
    UsageError
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"{path}: must end in .csv or .parquet, or be - for CSV on stdout")


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table as CSV or Parquet by the suffix, replacing the file atomically.

    In CSV, texts that begin as formulas do get a quote in front.

    Raises
    ------
    UsageError
        If the suffix is neither.
    ArtifactError
        If the file cannot be written.
    """
    check_table_suffix(path)
    with replacing_file(path) as temporary:
        if path.suffix.lower() == ".parquet":
            pq.write_table(table, temporary)
        else:
            temporary.write_bytes(csv_bytes(guarded(table)))


def csv_bytes(table: pa.Table) -> bytes:
    """Format a table as CSV, quoted where needed."""
    return (",".join(table.column_names) + "\n").encode() + csv_rows(table)


def csv_rows(table: pa.Table) -> bytes:
    """Format the rows of a table as CSV, without a header."""
    sink = pa.BufferOutputStream()
    plain = pa.table([column.combine_chunks() for column in table.columns], table.column_names)
    pacsv.write_csv(plain, sink, pacsv.WriteOptions(include_header=False, quoting_style="needed"))
    return bytes(sink.getvalue())

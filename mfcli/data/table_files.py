"""Write tables as CSV or Parquet.

In CSV, an apostrophe is put before texts that a spreadsheet would take for formulas (OWASP, "CSV
Injection").
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from mfcli.data.arrow_arrays import one_array
from mfcli.errors import UsageError
from mfcli.storage import cores, in_order, replacing_file

_SUFFIXES = (".csv", ".parquet")
_ROWS = 1 << 16  # rows that a thread formats at a time
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_FORMULA_PATTERN = r"^[=+\-@\t\r]"


def check_table_suffix(path: Path) -> None:
    """Check that a path names a kind of table that can be written.

    Raises
    ------
    UsageError
        If it ends in neither .csv nor .parquet.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise UsageError("must end in .csv or .parquet, or be - for CSV on stdout", place=path)


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table as CSV or Parquet, by its suffix, and replace an older file atomically.

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
            import pyarrow.parquet as pq  # takes long, and most commands write no Parquet

            pq.write_table(table, temporary)
        else:
            with temporary.open("wb") as file:
                file.writelines(_csv_parts(guarded(table)))


def csv_bytes(table: pa.Table) -> bytes:
    """Format a table as CSV, quoted where needed."""
    return b"".join(_csv_parts(table))


def _csv_parts(table: pa.Table) -> Iterator[bytes]:
    """Yield the header and then the rows of a table as CSV, which threads format in parts."""
    yield (",".join(table.column_names) + "\n").encode()
    parts = ((table.slice(start, _ROWS), start) for start in range(0, len(table), _ROWS))
    for rows, _ in in_order(parts, csv_rows, cores()):
        yield rows


def csv_rows(table: pa.Table) -> bytes:
    """Format the rows of a table as CSV, without a header.

    Raises
    ------
    pyarrow.ArrowException
        If a column has a type that CSV cannot hold, such as a list.
    """
    sink = pa.BufferOutputStream()
    # The writer refuses dictionaries whose chunks differ.
    plain = pa.table([one_array(column) for column in table.columns], table.column_names)
    pacsv.write_csv(plain, sink, pacsv.WriteOptions(include_header=False, quoting_style="needed"))
    return bytes(sink.getvalue())


def guarded(table: pa.Table) -> pa.Table:
    """Put an apostrophe before the texts of a table that look like formulas; numbers stay."""
    for place, name in enumerate(table.column_names):
        column = table.column(place)
        if column.type == pa.string():  # a negative number is not a formula
            # The last argument is the separator: each text becomes ' and the text.
            quoted = pc.binary_join_element_wise("'", column, "")
            is_formula = pc.match_substring_regex(column, _FORMULA_PATTERN)
            table = table.set_column(place, name, pc.if_else(is_formula, quoted, column))
    return table


def guarded_text(text: str) -> str:
    """Put an apostrophe before a text that looks like a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text

"""Write tables as CSV or Parquet.

In CSV, an apostrophe is put before texts that a spreadsheet would take for formulas (OWASP, "CSV
Injection").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from mfcli.data.arrow_arrays import one_array
from mfcli.errors import UsageError
from mfcli.storage import cores, in_order, replacing_file

_SUFFIXES = (".csv", ".parquet")
_ROWS = 1 << 16  # rows that a thread formats at a time
_GROUP = 1 << 17  # rows of a row group of Parquet
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


def write_tables(path: Path, tables: Iterable[pa.Table]) -> int:
    """Write tables that follow each other as CSV or Parquet, by the suffix of the file.

    An older file is replaced atomically. One table is in memory at a time.

    Parameters
    ----------
    path : Path
    tables : iterable of Arrow tables
        At least one; all have the same columns.

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    UsageError
        If the suffix is neither.
    ArtifactError
        If the file cannot be written.
    """
    check_table_suffix(path)
    write = _write_parquet if path.suffix.lower() == ".parquet" else _write_csv
    rows = [0]
    with replacing_file(path) as temporary:
        write(temporary, _counted(tables, rows))
    return rows[0]


def _counted(tables: Iterable[pa.Table], rows: list[int]) -> Iterator[pa.Table]:
    """Yield tables, and add their numbers of rows."""
    for table in tables:
        rows[0] += len(table)
        yield table


def _write_csv(path: Path, tables: Iterable[pa.Table]) -> None:
    with path.open("wb") as file:
        file.writelines(csv_parts(map(guarded, tables)))


def _write_parquet(path: Path, tables: Iterable[pa.Table]) -> None:
    import pyarrow.parquet as pq  # takes long, and most commands write no Parquet

    groups = _groups(tables)
    first = next(groups)
    with pq.ParquetWriter(path, first.schema) as writer:
        for group in chain([first], groups):
            writer.write_table(group, _GROUP)


def _groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield the rows of tables in groups of one size, so that files do not depend on the tables."""
    rest = None
    for table in tables:
        rest = table if rest is None else pa.concat_tables([rest, table])
        while len(rest) > _GROUP:
            yield rest.slice(0, _GROUP).combine_chunks()
            rest = rest.slice(_GROUP)
    if rest is not None:
        yield rest.combine_chunks()


def joined_tables(tables: Iterable[pa.Table]) -> pa.Table:
    """Return tables that follow each other as one."""
    return pa.concat_tables(tables)


def csv_bytes(table: pa.Table) -> bytes:
    """Format a table as CSV, quoted where needed."""
    return b"".join(csv_parts([table]))


def csv_parts(tables: Iterable[pa.Table]) -> Iterator[bytes]:
    """Yield the header and then the rows of tables as CSV, which threads format in parts."""
    for number, table in enumerate(tables):
        if not number:
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

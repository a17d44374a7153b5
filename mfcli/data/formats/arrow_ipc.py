"""The reader of Arrow files, which are also called Feather files."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

import pyarrow as pa

from mfcli.data.formats.columnar import TablePiece, reading_columns
from mfcli.data.sources import File

_ROWS = 1 << 18  # rows of a piece


def arrow_schema(file: File) -> pa.Schema:
    """Return the names and types of the columns.

    Raises
    ------
    DataError
        If the file is damaged.
    """
    with _opened(file) as opened:
        return opened.schema


def arrow_rows(file: File) -> int:
    """Return the number of rows.

    Raises
    ------
    DataError
        If the file is damaged.
    """
    with _opened(file) as opened:
        return sum(len(opened.get_batch(n)) for n in range(opened.num_record_batches))


def arrow_pieces(
    file: File, columns: Sequence[str] | None = None
) -> Iterator[tuple[TablePiece, int]]:
    """Read a file batch by batch; the arguments and results are those of `parquet_pieces`."""
    before = 0
    with _opened(file) as opened:
        for number in range(opened.num_record_batches):
            batch = opened.get_batch(number)
            batch.validate(full=True)  # Arrow trusts the offsets of texts: a wrong one would crash
            table = pa.Table.from_batches([batch])
            piece = TablePiece(table if columns is None else table.select(columns), before)
            before += len(batch)
            yield piece, file.bytes * (number + 1) // opened.num_record_batches


@contextlib.contextmanager
def _opened(file: File) -> Iterator[pa.RecordBatchFileReader]:
    with reading_columns(file, "Arrow"), pa.OSFile(os.fsencode(file.path)) as raw:
        yield pa.ipc.open_file(raw)

"""The reader of Parquet files.

Arrow's module for them is imported when there is such a file, since that takes long.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from mfcli.data.formats.columnar import TablePiece, reading_columns
from mfcli.data.sources import File

_ROWS = 1 << 18  # rows of a piece
_BUFFER = 1 << 20  # bytes of a column that are read at a time


def parquet_schema(file: File) -> pa.Schema:
    """Return the names and types of the columns.

    Raises
    ------
    DataError
        If the file is damaged.
    """
    import pyarrow.parquet as pq

    with reading_columns(file, "Parquet"):
        return pq.read_schema(file.path)


def parquet_rows(file: File) -> int:
    """Return the number of rows.

    Raises
    ------
    DataError
        If the file is damaged.
    """
    import pyarrow.parquet as pq

    with reading_columns(file, "Parquet"):
        rows: int = pq.read_metadata(file.path).num_rows
        return rows


def parquet_pieces(
    file: File, columns: Sequence[str] | None = None
) -> Iterator[tuple[TablePiece, int]]:
    """Read a file piece by piece.

    Parameters
    ----------
    file : File
    columns : sequence of str, optional
        Distinct names of the columns to read; all by default.

    Yields
    ------
    piece, int
        Rows, and about how many bytes of the file have been read.

    Raises
    ------
    DataError
        If the file is damaged.
    """
    import pyarrow.parquet as pq

    size, before = file.bytes, 0
    with reading_columns(file, "Parquet"):
        # With a buffer, so that pages are read, not columns of row groups, which may be large.
        opened = pq.ParquetFile(file.path, buffer_size=_BUFFER, pre_buffer=False)
        total = max(opened.metadata.num_rows, 1)
        # In batches, because a row group may be larger than memory.
        for batch in opened.iter_batches(_ROWS, columns=columns):
            piece = TablePiece(pa.Table.from_batches([batch]), before)
            before += len(batch)
            yield piece, size * before // total

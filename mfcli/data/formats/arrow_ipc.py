"""The reader of Arrow files, which are also called Feather files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from mfcli.data.formats.columnar import TablePiece, reading_columns
from mfcli.data.sources import File
from mfcli.storage import MappedFile, release

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
    """Read a file piece by piece; the arguments and results are those of `parquet_pieces`."""
    before = 0
    with _opened(file) as opened:
        for number in range(opened.num_record_batches):
            batch = opened.get_batch(number)
            table = pa.Table.from_batches([batch])
            table = table if columns is None else table.select(columns)
            for start in range(0, len(table), _ROWS):
                rows = table.slice(start, _ROWS)
                rows.validate(
                    full=True
                )  # Arrow trusts the offsets of texts: wrong ones would crash
                read = number + (start + len(rows)) / len(table)
                yield TablePiece(rows, before), int(file.bytes * read / opened.num_record_batches)
                before += len(rows)
                _release(batch)


def _release(batch: pa.RecordBatch) -> None:
    """Release the pages of a batch that is mapped into memory."""
    for column in batch.columns:
        for buffer in filter(None, column.buffers()):
            release(np.frombuffer(buffer, np.uint8))


@contextlib.contextmanager
def _opened(file: File) -> Iterator[pa.RecordBatchFileReader]:
    with reading_columns(file, "Arrow"):
        # Mapped, because a batch may be larger than memory.
        yield pa.ipc.open_file(pa.py_buffer(MappedFile(file.path).content))

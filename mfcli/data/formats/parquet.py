"""The reader of Parquet files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from mfcli.data.sources import File
from mfcli.errors import DataError

_ROWS = 1 << 18  # rows of a piece


class ParquetPiece(NamedTuple):
    """Rows of a file with typed columns: Parquet, Arrow or JSON lines.

    Attributes
    ----------
    table : Arrow table
    before : int
        Number of rows of the file before them.
    invalid : mapping of str
        Lines of JSON that hold no object, by their row in the table, where all values are null.
    """

    table: pa.Table
    before: int
    invalid: Mapping[int, str] = MappingProxyType({})


def parquet_schema(file: File) -> pa.Schema:
    """Return the names and types of the columns.

    Raises
    ------
    DataError
        If the file is damaged.
    """
    with _reading(file):
        return pq.read_schema(file.path)


def parquet_rows(file: File) -> int:
    """Return the number of rows.

    Raises
    ------
    DataError
        If the file is damaged.
    """
    with _reading(file):
        rows: int = pq.read_metadata(file.path).num_rows
        return rows


def parquet_pieces(
    file: File, columns: Sequence[str] | None = None
) -> Iterator[tuple[ParquetPiece, int]]:
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
    size, before = file.bytes, 0
    with _reading(file):
        opened = pq.ParquetFile(file.path)
        total = max(opened.metadata.num_rows, 1)
        # In batches, because a row group may be larger than memory.
        for batch in opened.iter_batches(_ROWS, columns=columns):
            piece = ParquetPiece(pa.Table.from_batches([batch]), before)
            before += len(batch)
            yield piece, size * before // total


@contextlib.contextmanager
def _reading(file: File) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"is a damaged Parquet file ({reason})",
            place=file,
            remedy="write or download it again",
        ) from error

"""What files with typed columns have in common: pieces of a table, and damage."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

import pyarrow as pa

from mfcli.data.sources import File
from mfcli.errors import DataError


class TablePiece(NamedTuple):
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


@contextlib.contextmanager
def reading_columns(file: File, format: str) -> Iterator[None]:
    """Convert errors of Arrow to a `DataError` that names the file and its format."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"is a damaged {format} file ({reason})",
            place=file,
            remedy="write or download it again",
        ) from error

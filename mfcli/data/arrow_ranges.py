"""Some rows of a file of ratings, read without the rest of the file.

A file of `write_ratings` is one record batch, not compressed: each column is a range of bytes.
Arrow finds the columns in a file of the same size with holes in their places: it is asked for the
addresses of what it would read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mfcli.data.arrow_arrays import one_array
from mfcli.data.arrow_files import RATING_COLUMNS
from mfcli.errors import ArtifactError
from mfcli.storage import (
    RangedFile,
    each,
    ranged_file,
    scratch_errors,
    scratch_file,
    without_options,
)

_ENDS = 1 << 14  # bytes at each end of a file, which describe its columns
_PART = 1 << 23  # bytes of a request
_REQUESTS = 8  # at the same time
_REMEDY = "create it again"


class _Column(NamedTuple):
    """A column of a file.

    Attributes
    ----------
    start : int
        Its first byte.
    rows : int
    dtype : dtype
    """

    start: int
    rows: int
    dtype: np.dtype[Any]


def read_columns(
    place: str, start: int, stop: int, names: Sequence[str]
) -> dict[str, NDArray[Any]]:
    """Read some rows of some columns of a file of `write_ratings`, and little else of it.

    The values are not checked.

    Parameters
    ----------
    place : str
        The path of the file, or its address in an object store.
    start, stop : int
        The rows `start` to ``stop - 1``, counted from 0.
    names : sequence of str
        Of "user", "item", "rating", "timestamp" and "weight".

    Returns
    -------
    dict of arrays, shape (stop - start,)
        int32 user and item, float32 rating and weight, int64 timestamp.

    Raises
    ------
    ArtifactError
        If the file is missing or damaged, has fewer rows, a column is missing or has the
        wrong type, or the store cannot be read.
    """
    file, shown = ranged_file(place), without_options(place)
    columns = _columns(file, shown, names)
    for name, column in columns.items():
        if not 0 <= start <= stop <= column.rows:
            rule = f"has {column.rows} rows in column {name!r}, not rows {start} to {stop}"
            raise ArtifactError(rule, place=shown, remedy=_REMEDY)
    found = {name: np.empty(stop - start, column.dtype) for name, column in columns.items()}
    parts = [
        (name, first, min(first + _PART, values.nbytes))
        for name, values in found.items()
        for first in range(0, values.nbytes, _PART)
    ]

    def read(number: int) -> None:
        name, first, last = parts[number]
        begin = columns[name].start + start * columns[name].dtype.itemsize
        content = file.read(begin + first, begin + last)
        found[name].view(np.uint8)[first:last] = np.frombuffer(content, np.uint8)

    each(read, len(parts), _REQUESTS)
    return found


def _columns(file: RangedFile, place: str, names: Sequence[str]) -> dict[str, _Column]:
    """Find columns in a file."""
    with scratch_file() as (ends, path):
        with scratch_errors():
            ends.truncate(file.size)
            for start in {0, max(0, file.size - _ENDS)}:
                ends.seek(start)
                ends.write(file.read(start, min(start + _ENDS, file.size)))
            ends.flush()
        try:
            with pa.memory_map(str(path)) as mapping:
                content = mapping.read_buffer()
                table = pa.ipc.open_file(pa.BufferReader(content)).read_all()
                return {name: _column(table, content, name) for name in names}
        except MemoryError:  # of Arrow: not the fault of the file
            raise
        except (pa.ArrowException, OSError, ValueError, KeyError) as error:
            reason = str(error).splitlines()[0]
            rule = f"is damaged ({reason})"
            raise ArtifactError(rule, place=place, remedy=_REMEDY) from error


def _column(table: pa.Table, content: pa.Buffer, name: str) -> _Column:
    """Find a column in the content of a file.

    Raises
    ------
    ValueError
        If it is not a range of bytes in the file.
    """
    if table.column_names.count(name) != 1:
        raise ValueError(f"no column {name!r}")
    array, kind = one_array(table[name]), RATING_COLUMNS[name]
    if array.type != kind or array.null_count or array.offset:
        raise ValueError(f"column {name!r} has the wrong type, {array.type}")
    dtype, rows = np.dtype(kind.to_pandas_dtype()), len(array)
    if not rows:
        return _Column(0, 0, dtype)
    values = array.buffers()[1]
    start = values.address - content.address
    # Copies, as of several batches or of compressed ones, are elsewhere in memory.
    size = rows * dtype.itemsize
    if not (values.size >= size and 0 <= start <= start + size <= content.size):
        raise ValueError("its columns are not in one piece")
    return _Column(start, rows, dtype)

"""Conversions between NumPy and Arrow arrays that copy no numbers and do not load pandas.

Arrow's own `array` and `to_numpy` import pandas where it is installed, which takes longer than the
work of a small command.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mfcli.types import Mask


def to_numpy(column: pa.Array) -> NDArray[Any]:
    """View a column of numbers without nulls as an array of the same type."""
    dtype = column.type.to_pandas_dtype()  # a NumPy type
    if not len(column):
        return np.empty(0, dtype)
    # Buffer 0 marks nulls, of which there are none; buffer 1 holds the values.
    values = np.frombuffer(column.buffers()[1], dtype)
    # A slice shares the buffers of the whole column.
    return values[column.offset : column.offset + len(column)]


def to_mask(column: pa.Array) -> Mask:
    """Return a boolean column without nulls as an array, one byte per value."""
    # Arrow packs booleans into bits, which NumPy cannot view.
    mask: Mask = to_numpy(column.cast(pa.int8())).astype(np.bool_)
    return mask


def to_arrow(values: NDArray[Any], known: Mask | None = None) -> pa.Array:
    """View an array of numbers as a column of the same type, null where they are not known."""
    buffer = pa.py_buffer(np.ascontiguousarray(values))
    bits = None if known is None else to_arrow_mask(known).buffers()[1]
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [bits, buffer])


def to_arrow_mask(mask: Mask) -> pa.Array:
    """Return an array of booleans as a column, one bit per value."""
    bits = pa.py_buffer(np.packbits(mask, bitorder="little"))
    return pa.Array.from_buffers(pa.bool_(), len(mask), [None, bits])


def to_texts(texts: Sequence[str]) -> pa.Array:
    """Return texts as a column of strings."""
    parts = [text.encode() for text in texts]
    bounds = np.cumsum([0, *map(len, parts)], dtype=np.int64)
    buffers = [None, pa.py_buffer(bounds), pa.py_buffer(b"".join(parts))]
    # 64-bit bounds first: the cast checks that they fit in 32 bits.
    large = pa.Array.from_buffers(pa.large_string(), len(parts), buffers)
    return large.cast(pa.string())


def text_bounds(texts: pa.Array) -> NDArray[np.int32]:
    """Return where the bytes of each text start in the buffer, and where the last text ends.

    Parameters
    ----------
    texts : Arrow array of string or binary, length n

    Returns
    -------
    int32 array, shape (n + 1,)
    """
    if not len(texts):  # its buffer may be empty or missing
        return np.zeros(1, np.int32)
    # Text i is bytes bounds[i] to bounds[i + 1] of buffer 2.
    bounds: NDArray[np.int32] = np.frombuffer(texts.buffers()[1], np.int32)
    return bounds[texts.offset : texts.offset + len(texts) + 1]


def one_array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return a column as one array; a single chunk is not copied."""
    if isinstance(column, pa.Array):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.nulls(0, column.type)

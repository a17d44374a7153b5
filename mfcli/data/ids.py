"""The rule for raw ids of users and items, for every reader.

Integers, signed and unsigned, become int64 if they all fit, otherwise text. Text of any Arrow type,
and dictionaries of integers or text, are ids too. Nothing else is: a float that was rounded, or a
date that is formatted differently elsewhere, would no longer find its row. A file of text does not
say whether its ids are numbers: they become integers if this changes none of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mfcli.data.arrow_arrays import one_array, text_bounds
from mfcli.errors import DataError
from mfcli.types import Mask

Ids: TypeAlias = int | str | Sequence[int] | Sequence[str] | NDArray[Any] | Any
"""Raw ids of users or items: one, or several in any form that Arrow takes (list, Series, ...)."""


def id_column(column: pa.Array | pa.ChunkedArray) -> pa.Array | None:
    """Return a column of raw ids as int64 or string.

    Parameters
    ----------
    column : Arrow array
        May hold nulls, which stay.

    Returns
    -------
    Arrow array of int64 or string, or None
        None if the column has a type that ids cannot have.
    """
    column = one_array(column)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_integer(kind):
        try:
            return column.cast(pa.int64())
        except pa.ArrowInvalid:  # unsigned, and beyond int64
            return column.cast(pa.string())
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.string_view()
    return column.cast(pa.string()) if is_text or pa.types.is_null(kind) else None


def id_array(ids: Ids) -> pa.Array:
    """Return raw ids that a caller gives as int64 or string.

    Raises
    ------
    DataError
        If they are neither integers nor text, or one is missing.
    """
    several = [ids] if isinstance(ids, int | str | np.integer) else ids
    try:
        found = id_column(_as_arrow(several))
        if found is not None and not found.null_count:
            return found
    except (TypeError, OverflowError, pa.ArrowException):
        pass
    raise DataError(f"ids must be integers or text, got {several!r:.60}")


def _as_arrow(ids: Any) -> pa.Array:
    if isinstance(ids, pa.ChunkedArray):
        return one_array(ids)
    try:
        return pa.array(ids)
    except OverflowError:  # Python's integers have no largest value
        if not all(type(one) is int for one in ids):
            raise
        return pa.array(list(map(str, ids)))


def integers_if_exact(ids: pa.Array) -> pa.Array:
    """Return text ids as integers if all of them are written as integers are; else as they are.

    "007" and "+7" are not, since they would become 7.
    """
    try:
        whole = ids.cast(pa.int64())
    except pa.ArrowInvalid:
        return ids
    return whole if whole.cast(pa.string()).equals(ids) else ids


def empty_ids(ids: pa.Array) -> Mask:
    """Mark text ids without a character; nulls count as empty.

    Parameters
    ----------
    ids : Arrow array of int64 or string, length n

    Returns
    -------
    bool array, shape (n,)
    """
    if ids.type != pa.string():
        return np.zeros(len(ids), np.bool_)
    empty: Mask = np.diff(text_bounds(ids)) == 0
    return empty

"""The rule for raw ids of users and items, for every reader.

Ids are integers or text. Integers of any type become int64 if they all fit, otherwise text. Whole
floats and decimals become integers, since tools store integers with missing values in this form.
Text of any Arrow type, UTF-8 bytes and UUIDs become text. Dictionaries are read as their values.
Dates and booleans are not ids.

Files of text do not say whether ids are numbers, and other files may hold numbers as text. Text ids
become integers if all of them are written as integers, or all with ".0" after them.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

import mfcli.data.compute as pc
from mfcli.data.arrow_arrays import (
    one_array,
    text_bounds,
    to_arrow,
    to_arrow_mask,
    to_mask,
    to_numpy,
)
from mfcli.data.frames import is_table
from mfcli.errors import DataError
from mfcli.types import Mask

Ids: TypeAlias = int | str | Sequence[int] | Sequence[str] | NDArray[Any] | Any
"""Raw ids of users or items: one, or several in any form that Arrow takes (list, Series, ...)."""

_ONE = int | float | str | bytes | uuid.UUID | np.generic
_EXACT = {pa.float16(): 1 << 11, pa.float32(): 1 << 24, pa.float64(): 1 << 53}
"""Below these limits, each float stands for one integer; 2**53 is also 2**53 + 1, rounded."""

_OTHER_MEANING = ("arrow.bool8", "pandas.period")
"""Extension types that are stored as integers, but are booleans and dates."""

_LEAST_NOT_ASCII = 0x80
_SPACE = 0x20  # all bytes below are control characters, some of which are blanks
_ZERO = 0x30


def id_column(column: pa.Array | pa.ChunkedArray) -> pa.Array | None:
    """Return a column of raw ids as int64 or string.

    Parameters
    ----------
    column : Arrow array
        May hold nulls, which stay.

    Returns
    -------
    Arrow array of int64 or string, or None
        Null where a value cannot be an id; `id_rule` returns the reason. None if the column has a
        type that ids cannot have.
    """
    column = one_array(column)
    if isinstance(column, pa.ExtensionArray):
        return _from_extension(column)  # first: its type is none of those below
    kind, types = column.type, pa.types
    if types.is_dictionary(kind):
        values = id_column(column.dictionary)  # far fewer values than rows
        return None if values is None else values.take(column.indices)
    if types.is_integer(kind):
        try:
            return column.cast(pa.int64())
        except pa.ArrowInvalid:  # unsigned, and beyond int64
            return column.cast(pa.string())
    if types.is_floating(kind):
        return _whole_floats(column)
    if types.is_decimal(kind):
        return _whole_decimals(column)
    if _is_bytes(kind):
        return _utf8(column)
    return column.cast(pa.string()) if is_text(kind) or types.is_null(kind) else None


def _from_extension(column: pa.ExtensionArray) -> pa.Array | None:
    name = column.type.extension_name
    if name == "arrow.uuid":
        return _uuids(column.storage)
    return None if name in _OTHER_MEANING else id_column(column.storage)


def is_text(kind: pa.DataType) -> bool:
    """Return whether an Arrow type is one of the types of text."""
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.string_view()
    )


def _is_bytes(kind: pa.DataType) -> bool:
    types = pa.types
    fixed = types.is_fixed_size_binary(kind)
    return bool(
        types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind) or fixed
    )


def _whole_floats(column: pa.Array) -> pa.Array:
    values = to_numpy(column.cast(pa.float64()))
    valid = to_mask(pc.is_valid(column))
    whole = valid & (np.floor(values) == values) & (np.abs(values) < _EXACT[column.type])
    # Others are null, and 0 until then: NumPy warns when it casts NaN.
    integers = to_arrow(np.where(whole, values, 0).astype(np.int64))
    return pc.if_else(to_arrow_mask(whole), integers, pa.scalar(None, pa.int64()))


def _whole_decimals(column: pa.Array) -> pa.Array:
    # In Python, since a cast of decimals with fractions fails as a whole.
    values: list[Decimal | None] = column.to_pylist()
    whole = [None if v is None or v != v.to_integral_value() else int(v) for v in values]
    try:
        return pa.array(whole, pa.int64())
    except OverflowError:
        return pa.array([None if v is None else str(v) for v in whole], pa.string())


def _utf8(column: pa.Array) -> pa.Array:
    plain = column.cast(pa.binary())
    try:
        return plain.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([_decoded(value) for value in plain.to_pylist()], pa.string())


def _decoded(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def _uuids(storage: pa.Array) -> pa.Array:
    found = storage.dictionary_encode()  # each UUID is formatted once
    texts = [str(uuid.UUID(bytes=value)) for value in found.dictionary.to_pylist()]
    return pa.array(texts, pa.string()).take(found.indices)


def id_rule(value: Any) -> tuple[str, Any]:
    """Return why a value is not an id, as words that follow "user", and the value if it helps.

    Parameters
    ----------
    value : object
        A value for which `id_column` has null, or an empty or blank text.
    """
    if value is None or value != value:  # NaN stands for null in floats
        return "is null", None
    if isinstance(value, str):
        return f"id must not be {'blank' if value else 'empty'}", None
    if isinstance(value, bytes):
        return "id must be UTF-8 text", value
    if isinstance(value, float) and value.is_integer():
        return "id must be stored as an integer or text, since large floats are rounded", value
    return "id must be a whole number or text", value


def id_array(ids: Ids, param: str | None = None) -> pa.Array:
    """Return raw ids that a caller gives as int64 or string.

    Parameters
    ----------
    ids : id or sequence of ids
    param : str, optional
        Name of the argument, for messages.

    Raises
    ------
    DataError
        If they are neither integers nor text, or one is missing.
    """
    several = [ids] if isinstance(ids, _ONE) else ids
    rule = "ids must be integers or text"
    if is_table(ids):
        raise DataError(f"{rule}, got {type(ids).__name__}", place=param, remedy="give one column")
    try:
        given = _as_arrow(several)
        found = id_column(given)
    except (TypeError, ValueError, OverflowError, pa.ArrowException):
        found = None
    if found is None:
        raise DataError(f"{rule}, got {several!r:.60}", place=param)
    if found.null_count:
        place = int(np.argmax(~to_mask(pc.is_valid(found))))
        value = given[place].as_py()
        raise DataError(f"{rule}, got {value!r} (number {place + 1} of {len(found)})", place=param)
    return found


def _as_arrow(ids: Any) -> pa.Array:
    if isinstance(ids, pa.ChunkedArray):
        return one_array(ids)
    if isinstance(ids, list | tuple) and ids and all(isinstance(one, uuid.UUID) for one in ids):
        return pa.array(list(map(str, ids)))
    try:
        return one_array(pa.array(ids))
    except OverflowError:  # Python's integers have no largest value
        if not all(type(one) is int for one in ids):
            raise
        return pa.array(list(map(str, ids)))


def integers_if_exact(ids: pa.Array) -> pa.Array:
    """Return text ids as integers if all of them are written as integers are; else as they are.

    "007" and "+7" are not, since they would become 7. Tools that store integers as floats write
    "7.0", which is 7 if all ids are written so; "7" and "7.0" in one column remain two texts.
    """
    if ids.type != pa.string() or not len(ids):
        return ids
    plain = without_point_zero(ids) if pc.all(pc.ends_with(ids, ".0")).as_py() else ids
    try:
        whole = plain.cast(pa.int64())  # fails at the first text that is not an integer
    except pa.ArrowInvalid:
        return ids
    # Written back, "007" would be "7".
    return whole if whole.cast(pa.string()).equals(plain) else ids


def plain_integers(texts: pa.Array) -> NDArray[np.int64] | None:
    """Return text ids as integers from 0 if all of them are written as such; otherwise None.

    As in `integers_if_exact`, "007" and "+7" are not, but here nothing is written back. "-7" and
    "7.0" are not, either.

    Parameters
    ----------
    texts : Arrow array of string, length n

    Returns
    -------
    int64 array, shape (n,), or None
    """
    try:
        numbers = to_numpy(texts.cast(pa.int64()))  # fails at the first text that is not an integer
    except pa.ArrowInvalid:
        return None
    if not len(numbers) or numbers.min() < 0:
        return None
    bounds = text_bounds(texts)
    first = np.frombuffer(texts.buffers()[2], np.uint8)[bounds[:-1]]
    if ((first == _ZERO) & (numbers > 0)).any():  # Arrow also reads "007" and "0x7"
        return None
    # Any other way to write a number, such as "+7" or "00", is longer than its digits.
    most = len(str(numbers.max()))
    digits = len(numbers) + sum(np.count_nonzero(numbers >= 10**n) for n in range(1, most))
    return numbers if bounds[-1] - bounds[0] == digits else None


def without_point_zero(ids: pa.Array) -> pa.Array:
    """Return text ids without the ".0" that follows a whole number."""
    return pc.replace_substring_regex(ids, r"^(-?[0-9]+)\.0$", r"\1")


def empty_ids(ids: pa.Array) -> Mask:
    """Mark text ids without a character other than blanks; nulls count as empty.

    Parameters
    ----------
    ids : Arrow array of int64 or string, length n

    Returns
    -------
    bool array, shape (n,)
    """
    if ids.type != pa.string():
        return np.zeros(len(ids), np.bool_)
    bounds = text_bounds(ids)
    empty: Mask = np.diff(bounds) == 0
    if empty.all():
        return empty
    full = np.flatnonzero(~empty) if empty.any() else None  # an empty text has no first byte
    # A blank text starts with a control character, a space, or a character that is not ASCII.
    starts = bounds[:-1] if full is None else bounds[full]
    first = np.frombuffer(ids.buffers()[2], np.uint8)[starts]
    candidates = np.flatnonzero((first <= _SPACE) | (first >= _LEAST_NOT_ASCII))
    candidates = candidates if full is None else full[candidates]
    if len(candidates):
        empty[candidates] = to_mask(pc.utf8_is_space(ids.take(to_arrow(candidates))))
    return empty

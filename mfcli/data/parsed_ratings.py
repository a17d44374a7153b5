"""Pieces of ratings, parsed from files of any format."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import pyarrow as pa

from mfcli.data.arrow_arrays import to_arrow, to_numpy
from mfcli.data.checked_columns import table_columns
from mfcli.data.faults import OnFault
from mfcli.data.feedback import positive_roles
from mfcli.data.formats.layout import Layout
from mfcli.data.formats.strict_text import plain_ratings
from mfcli.data.formats.text import Refused, TextPiece, read_text
from mfcli.data.ids import empty_ids, is_text
from mfcli.data.rating_pieces import RatingPiece, rating_piece
from mfcli.data.sizes import LARGE
from mfcli.data.times import time_column
from mfcli.storage import cores
from mfcli.types import Floats

_MOST_PARSERS = 4  # threads that parse
_HASHED = pa.dictionary(pa.int32(), pa.string())  # Python sees each id once per piece
_TYPES: dict[str, pa.DataType | None] = {
    "user": _HASHED,
    "item": _HASHED,
    "rating": pa.float32(),
    "weight": pa.float32(),
    "timestamp": None,  # numbers or dates, as Arrow finds
}


def rating_pieces(layout: Layout, on_fault: OnFault) -> Iterator[tuple[RatingPiece, int]]:
    """Read a file piece by piece.

    Parameters
    ----------
    layout : Layout
    on_fault : callable
        Called for each faulty row.

    Yields
    ------
    piece, int
        Ratings, and about how many bytes of the file have been read.

    Raises
    ------
    DataError
        If the file cannot be read or is damaged.
    """
    return (_read_text if layout.format == "text" else _read_table)(layout, on_fault)


def _read_text(layout: Layout, on_fault: OnFault) -> Iterator[tuple[RatingPiece, int]]:
    return read_text(
        layout,
        _parsed,
        partial(plain_ratings, layout, on_fault=on_fault),
        min(cores(), _MOST_PARSERS),
    )


def _parsed(piece: TextPiece) -> RatingPiece:
    """Parse a piece of text; refuse it if a field is empty or has another type."""
    return (_plainly(piece) if piece.layout.file.bytes >= LARGE else None) or _with_arrow(piece)


def _plainly(piece: TextPiece) -> RatingPiece | None:
    # Imported here because it loads Numba, which takes longer than to read a small file.
    from mfcli.data.formats.plain_numbers import plain_columns

    plain = plain_columns(piece)
    if plain is None:
        return None
    if piece.layout.implicit and not (plain.rating > 0).all():
        raise Refused
    return RatingPiece(to_arrow(plain.user), to_arrow(plain.item), plain.rating, plain.timestamp)


def _with_arrow(piece: TextPiece) -> RatingPiece:
    columns = piece.layout.columns
    parsed = piece.parse({column: _TYPES[role] for role, column in columns.items()})
    found = {role: parsed[column] for role, column in columns.items()}
    if any(column.null_count for column in found.values()):
        raise Refused  # an empty field; the strict reader names its line
    if empty_ids(found["user"].dictionary).any() or empty_ids(found["item"].dictionary).any():
        raise Refused
    for role in ("rating", "weight"):
        if role in found:
            _check_numbers(to_numpy(found[role]), role in positive_roles(piece.layout.implicit))
    if "timestamp" in found:
        found["timestamp"] = _times(found["timestamp"])
    return rating_piece(found)


def _check_numbers(values: Floats, positive: bool) -> None:
    # Arrow reads "nan" and "inf" as numbers.
    if not np.isfinite(values).all() or (positive and not (values > 0).all()):
        raise Refused


def _times(column: pa.Array) -> pa.Array:
    times = None if is_text(column.type) else time_column(column)
    if times is None or times.null_count:
        raise Refused
    return times


def _read_table(layout: Layout, on_fault: OnFault) -> Iterator[tuple[RatingPiece, int]]:
    return ((rating_piece(columns), at) for columns, at in table_columns(layout, on_fault))

"""Ratings and pairs that a caller gives in any form: tables, arrays, paths."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import pyarrow as pa

from mfcli.data.arguments import check_reading, listed_paths
from mfcli.data.checked_columns import sound_columns
from mfcli.data.faults import stopping
from mfcli.data.feedback import meaning_of
from mfcli.data.formats.columns import (
    PAIRS,
    RATINGS,
    find_columns,
    may_be_events,
    or_events,
    required,
)
from mfcli.data.frames import frame_of
from mfcli.data.merged_buckets import merged_buckets
from mfcli.data.rating_files import read_ratings
from mfcli.data.rating_pieces import Collector, rating_piece
from mfcli.data.ratings import Ratings, RatingsLike, Source
from mfcli.errors import DataError, MfcliError, Text, UsageError

_ROLES = ("user", "item", "rating", "timestamp")  # in the order of arrays
_FORMS = "a data frame, an Arrow table, arrays (user, item, rating) or a path"
_PAIR_FORMS = "ids, a data frame or an Arrow table"


def ratings_from(
    table: RatingsLike,
    item: Any = None,
    rating: Any = None,
    timestamp: Any = None,
    *,
    weight: Any = None,
    columns: Mapping[str, str] | None = None,
    duplicates: str | None = None,
    feedback: str | None = None,
) -> Ratings:
    """Make ratings of a table in memory, of three arrays or of a file, with the same checks.

    Parameters
    ----------
    table : table, array, tuple of arrays, or path
        A pandas DataFrame, an Arrow table, a data frame of another library that offers
        `__arrow_c_stream__`, such as polars, or a mapping of arrays by column. With `item` and
        `rating`, an array of the users' ids. A tuple holds the arrays (user, item, rating) or
        (user, item, rating, timestamp). A path, or a list of paths, is read by `read_ratings`.
        Ratings are returned as they are.
    item, rating, timestamp, weight : array, optional
        Of the same length as the users.
    columns, duplicates, feedback
        As in `read_ratings`; ``columns={"rating": ""}`` means that each row is an event.

    Returns
    -------
    Ratings
        In the order of the rows. Ids are integers if none of them changes, otherwise text.

    Raises
    ------
    DataError
        If a column is missing or has the wrong type, or for the first invalid row.
    UsageError, ConfigError
        If an argument breaks its rule.

    Examples
    --------
    >>> ratings = ratings_from(["anna", "anna", "ben"], [1, 2, 2], [4.5, 3, 5])
    >>> ratings
    Ratings(3 ratings by 2 users of 2 items)
    """
    given = (item, rating, timestamp, weight)
    is_alone = all(array is None for array in given)
    if isinstance(table, Ratings) and columns is None and is_alone:
        return table
    if not is_alone:
        check_reading(columns)
        arrays = _columns_of_arrays((table, item, rating, timestamp), columns)
        if weight is not None:
            arrays, columns = arrays | {"weight": weight}, {**(columns or {}), "weight": "weight"}
        table = arrays
    return read_given(table, "table", columns, duplicates, feedback)


def pairs_from(
    table: Any, param: str, columns: Mapping[str, str] | None = None
) -> tuple[pa.Array, pa.Array]:
    """Return the user ids and the item ids of a table.

    Parameters
    ----------
    table : table
        As for `ratings_from`.
    param : str
        Name of the argument, for messages.
    columns : mapping of str, optional
        Names of the columns "user" and "item" if they are not known ones.

    Returns
    -------
    user, item : Arrow arrays of int64 or string, length n

    Raises
    ------
    DataError, UsageError
        As `ratings_from`.
    """
    check_reading(columns)
    found = _sound(table, param, columns, PAIRS, _PAIR_FORMS).columns
    return found["user"], found["item"]


def read_given(
    table: RatingsLike,
    place: str,
    columns: Mapping[str, str] | None = None,
    duplicates: str | None = None,
    feedback: str | None = None,
    *,
    events: bool = False,
) -> Ratings:
    """Read ratings as `ratings_from` does.

    `place` is the name of the argument, for messages. With `events`, each row is an event if there
    are no ratings.
    """
    if _are_paths(table):
        return read_ratings(
            listed_paths(table, place),
            columns=columns,
            duplicates=duplicates,
            feedback=feedback,
            events=events,
        )
    check_reading(columns, duplicates=duplicates, feedback=feedback)
    try:
        return _from_memory(table, place, columns, duplicates, feedback)
    except MfcliError as error:
        if not (events and may_be_events(error)):
            raise
    return _from_memory(table, place, {**(columns or {}), "rating": ""}, duplicates, feedback)


def _are_paths(table: Any) -> bool:
    # A tuple that does not begin with a path holds arrays.
    listed = table[:1] if isinstance(table, tuple) else table
    return _is_path(table) or (isinstance(listed, list | tuple) and any(map(_is_path, listed)))


def _is_path(value: Any) -> bool:
    return isinstance(value, str | os.PathLike)


def _columns_of_arrays(arrays: Sequence[Any], columns: Mapping[str, str] | None) -> dict[str, Any]:
    """Return (user, item, rating) or (user, item, rating, timestamp) as columns by name."""
    given = {role: array for role, array in zip(_ROLES, arrays, strict=False) if array is not None}
    missing = [role for role in required(RATINGS, columns) if role not in given]
    if missing:
        remedy: Text = "give arrays (user, item, rating)"
        if missing == ["rating"]:
            remedy = or_events(remedy)
        raise UsageError("is missing", param=missing[0], remedy=remedy)
    if len(arrays) > len(_ROLES):
        raise UsageError(f"must have three or four arrays, got {len(arrays)}", param="table")
    return given


class _Sound(NamedTuple):
    """Checked columns of a table, by role, and their names and size in the table."""

    columns: dict[str, pa.Array]
    names: dict[str, str]
    rows: int
    bytes: int


def _sound(
    table: Any,
    place: str,
    columns: Mapping[str, str] | None,
    needed: tuple[str, ...],
    forms: str = _FORMS,
    *,
    implicit: bool = False,
) -> _Sound:
    frame = frame_of(table, place, forms)
    if len(frame.names) < 2:
        got = ", ".join(map(repr, frame.names)) or "none"
        roles = ", ".join(required(needed, columns))
        raise DataError(f"must have the columns {roles}, got {got}", place=place)
    positions = find_columns(place, frame.names, columns, needed)
    names = {role: frame.names[position] for role, position in positions.items()}
    arrays = {role: frame.column(position, role) for role, position in positions.items()}
    rows = len(arrays["user"])
    if not rows and needed == RATINGS:  # first: a column without values has no type
        raise DataError("holds no rating", place=place)
    stop = stopping(lambda number: f"{place}: row {number}")
    sound = sound_columns(place, names, arrays, stop, implicit=implicit)
    size = sum(array.get_total_buffer_size() for array in arrays.values())
    return _Sound(sound, names, rows, size)


def _from_memory(
    table: Any,
    place: str,
    columns: Mapping[str, str] | None,
    duplicates: str | None,
    feedback: str | None,
) -> Ratings:
    meaning = meaning_of("rating" in required(RATINGS, columns), feedback, duplicates)
    if isinstance(table, tuple) and table:
        table = _columns_of_arrays(table, columns)
    sound = _sound(table, place, columns, RATINGS, implicit=meaning.implicit)
    collector = Collector()
    collector.add(rating_piece(sound.columns))

    def place_of(row: int) -> str:  # given its position from 0
        return f"{place}: row {row + 1}"

    collected = collector.collected(place, place_of)
    merged = merged_buckets(collected, meaning.duplicates, meaning.feedback, place_of)
    source = Source(
        name="table",  # a table in memory has no name
        files=0,
        bytes=sound.bytes,
        sha256="",
        format="table in memory",
        columns=sound.names,
        rows=sound.rows,
        duplicates=merged.duplicates,
        conflicts=merged.conflicts,
        rejected={},
        settings={"duplicates": meaning.duplicates},
    )
    return replace(merged.buckets.ratings(0), source=source)

"""Ratings and pairs in any form, as arguments of functions without the argument `columns`."""

from __future__ import annotations

import os
from typing import Any

import pyarrow as pa

from mfcli.data.feedback import IMPLICIT
from mfcli.data.formats.columns import NoRatingColumnError
from mfcli.data.ratings import Ratings, RatingsLike
from mfcli.errors import DataError, Param, Text

_EVENTS = {"rating": ""}  # the columns of a table of which each row is an event


def as_ratings(value: RatingsLike, param: str, feedback: str | None = None) -> Ratings:
    """Return ratings as they are, and those in another form as `ratings_from` does.

    Parameters
    ----------
    value : Ratings, or what `ratings_from` takes
    param : str
        Name of the argument, for messages.
    feedback : {"explicit", "implicit"}, optional
        Of a model or a split that the ratings go with. If it is implicit, ratings are strengths,
        and without ratings each row is an event.

    Raises
    ------
    DataError, UsageError
        As `ratings_from`.
    """
    if isinstance(value, Ratings):
        return value
    try:
        return _read(value, param, feedback)
    except DataError as error:
        if _names_a_column(error.remedy):  # which is no argument of the caller
            error.remedy = ["make Ratings with ratings_from, and ", error.remedy]
        raise


def _read(value: RatingsLike, param: str, feedback: str | None) -> Ratings:
    # Imported here because it loads pyarrow.compute, which training does not need.
    from mfcli.data.given_ratings import read_given

    if feedback != IMPLICIT:
        return read_given(value, param)
    if isinstance(value, tuple) and len(value) == 2 and not isinstance(value[0], str | os.PathLike):
        return read_given(value, param, _EVENTS)
    try:
        return read_given(value, param, feedback=feedback)
    except NoRatingColumnError:
        return read_given(value, param, _EVENTS)


def as_pairs(table: Any, param: str) -> tuple[pa.Array, pa.Array]:
    """Return the user ids and the item ids of a table, as `pairs_from` does.

    Parameters
    ----------
    table : table
        As for `ratings_from`.
    param : str
        Name of the argument, for messages.

    Returns
    -------
    user, item : Arrow arrays of int64 or string, length n

    Raises
    ------
    DataError, UsageError
        As `ratings_from`.
    """
    from mfcli.data.given_ratings import pairs_from  # as above

    try:
        return pairs_from(table, param)
    except DataError as error:
        if _names_a_column(error.remedy):
            error.remedy = "name its columns user and item; each holds integers or text"
        raise


def _names_a_column(text: Text) -> bool:
    if isinstance(text, Param):
        return text.name.startswith("columns.")
    return not isinstance(text, str) and any(map(_names_a_column, text))

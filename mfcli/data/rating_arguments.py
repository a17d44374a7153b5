"""Ratings and pairs in any form, as arguments of functions without the argument `columns`."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from mfcli.data.feedback import IMPLICIT
from mfcli.data.ratings import Ratings, RatingsLike
from mfcli.errors import DataError, Text, params_in


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
    # Imported here because it loads pyarrow.compute, which training does not need.
    from mfcli.data.given_ratings import read_given

    try:
        return read_given(value, param, feedback=feedback, events=feedback == IMPLICIT)
    except DataError as error:
        if _names_a_column(error.remedy):  # which is no argument of the caller
            error.remedy = ["make Ratings with ratings_from, and ", error.remedy]
        raise


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
    return any(param.name.startswith("columns.") for param in params_in(text))

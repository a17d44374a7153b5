"""Which column has which role: known names, chosen names, and one role per column."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from mfcli.errors import DataError, Message, Param, Text, params_in

Aliases: TypeAlias = Mapping[str, tuple[str, ...]]
"""Names of the column of each role, as `plain_name` writes them; the first found is used."""

ALIASES: Aliases = {
    "user": ("userid", "user_id", "user", "uid"),
    "item": ("movie_idx", "movieid", "item_id", "itemid", "item", "movie_id", "iid"),
    "rating": ("rating", "score"),
    "timestamp": ("timestamp", "ts"),
}
"""The known names in files of ratings."""

JSON_ALIASES: Aliases = {
    "user": (*ALIASES["user"], "reviewerid"),
    "item": (*ALIASES["item"], "parent_asin", "asin", "business_id", "book_id"),
    "rating": (*ALIASES["rating"], "overall", "stars"),
    "timestamp": (*ALIASES["timestamp"], "unixreviewtime", "date"),
}
"""`ALIASES` and the keys of the reviews of Amazon, Yelp and Goodreads, published as JSON lines."""

_OTHER_NAMES = {
    "user": "user_idx reviewerid reviewer_id customer_id customerid username user_name"
    " review_userid review_profilename",
    "item": "item_idx asin parent_asin product_id productid product_productid isbn anime_id"
    " book_id bookid business_id recipe_id beer_beerid",
    "rating": "overall stars star_rating book_rating user_rating review_score review_overall",
    "timestamp": "unixreviewtime unix_review_time review_time",
}
"""Names in public data sets, used if there is no name in `ALIASES`. Two of them are ambiguous."""

ROLES = (*ALIASES, "weight")
"""The roles of the columns of a file of ratings; a weight is only read if its column is chosen."""

RATINGS = ("user", "item", "rating")
"""The roles that a file of ratings must have, unless each row is an event."""

PAIRS = ("user", "item")
"""The roles that a file of pairs must have."""

_EVENTS = Param("columns.rating", "")
"""The parameter with which each row is an event."""

MELT = "convert a matrix to one line per rating, as with pandas.melt"
"""The remedy for a matrix with a row for each user and a column for each item."""

ID = "id"
"""A name of the ids in files that describe users or items."""

_TYPE = re.compile(r":(token|float|token_seq|float_seq)$")  # written by RecBole after a name
_MAY_LACK = ("rating", "timestamp", "weight")  # an empty name says that there is no such column
_SHOWN = 20  # column names in a message
_WIDE = 100  # more columns than this are probably the items of a matrix
_FEW = 5  # columns; fewer with numbers as names may be those of a list


def preferring(names: Mapping[str, str], aliases: Aliases) -> Aliases:
    """Return known names with some that are looked for first, such as those of other ratings.

    Parameters
    ----------
    names : mapping of str
        Names by role; positions are left out.
    aliases : mapping of tuple of str
    """
    first = {role: (plain_name(name),) for role, name in names.items() if not name.isdigit()}
    return {role: first.get(role, ()) + aliases.get(role, ()) for role in ROLES}


def plain_name(name: str) -> str:
    """Return a name in the spelling of `ALIASES`: "User-ID" is user_id."""
    return re.sub(r"[-\s./]+", "_", _TYPE.sub("", name.strip().lower()))


def role_of(name: str, aliases: Aliases = ALIASES) -> str | None:
    """Return the role of the column with a name; None if the name is not known."""
    plain = plain_name(name)
    known = (
        role
        for role, names in aliases.items()
        if plain in names or plain in _OTHER_NAMES.get(role, "").split()
    )
    return next(known, None)


def column_param(role: str, needed: Sequence[str], *value: str) -> Param:
    """Return the parameter that chooses the column of a role, perhaps with a value.

    Parameters
    ----------
    role : str
    needed : sequence of str
        The roles that the file has; titles have a parameter of their own, since a command may read
        them together with ratings, whose columns have other names.
    *value : str
        Name or position of a column.
    """
    return Param(f"{'title_columns' if 'title' in needed else 'columns'}.{role}", *value)


def or_events(remedy: Text) -> Text:
    """Return the remedy for users and items without ratings, given that for missing ratings."""
    return [remedy, "; or, if each row is an event, use ", _EVENTS]


def may_be_events(error: Message) -> bool:
    """Return whether the remedy for an error is that of `or_events`."""
    return _EVENTS in params_in(error.remedy)


def required(needed: tuple[str, ...], chosen: Mapping[str, str] | None) -> tuple[str, ...]:
    """Return the roles that a file must have: without ratings, if each row is an event."""
    is_event = (chosen or {}).get("rating") == ""
    return tuple(role for role in needed if role != "rating" or not is_event)


def find_columns(
    place: object,
    names: Sequence[str],
    chosen: Mapping[str, str] | None,
    needed: tuple[str, ...] = RATINGS,
    aliases: Aliases = ALIASES,
    *,
    matrix: bool = False,
) -> dict[str, int]:
    """Return the position of the column of each role.

    Parameters
    ----------
    place : object
        Where the columns are, for messages.
    names : sequence of str
        All columns.
    chosen : mapping of str, optional
        Column names for some of `ROLES`. An empty timestamp ignores times, and an empty rating
        means that each row is an event.
    needed : tuple of str
        `RATINGS`, which includes times if there are any, `PAIRS`, or other roles.
    aliases : mapping of tuple of str
        Known names of the column of each role.
    matrix : bool
        Whether the values look like a matrix of ratings, for messages.

    Raises
    ------
    DataError
        If a needed or chosen column is missing, a name fits several columns, or a column has two
        roles.
    """
    columns = {}
    for role in ROLES if needed == RATINGS else needed:
        wanted = (chosen or {}).get(role)
        if role in _MAY_LACK and wanted == "":
            continue  # not a name to look for: an index column may have an empty one
        if wanted is None:
            found = _known(place, names, role, aliases.get(role, ()), needed)
        else:
            found = _chosen(place, names, role, wanted, needed)
        if found is None and wanted is None and _is_only_column(names, needed, aliases):
            found = 0
        if found is not None:
            columns[role] = found
        elif role in needed or wanted:
            raise _missing(place, role, wanted, names, needed, matrix or _numbers_items(names))
    _check_roles(place, names, columns, needed)
    return columns


def _chosen(
    place: object, names: Sequence[str], role: str, wanted: str, needed: Sequence[str]
) -> int | None:
    choose = _choose(role, needed)
    if wanted in names:
        another: Text = ["rename them, or choose another with ", column_param(role, needed)]
        return _only(place, names, names, wanted, another)
    return _only(place, names, [name.lower() for name in names], wanted.lower(), choose)


def _is_only_column(names: Sequence[str], needed: Sequence[str], aliases: Aliases) -> bool:
    """Return whether there is one column, of whatever name, and one role."""
    return len(names) == len(needed) == 1 and role_of(names[0], aliases) is None


def _known(
    place: object, names: Sequence[str], role: str, aliases: Sequence[str], needed: Sequence[str]
) -> int | None:
    plain = [plain_name(name) for name in names]
    others = sorted({*_OTHER_NAMES.get(role, "").split()}.intersection(plain), key=plain.index)
    for alias in aliases:
        # Beside a column with another known name, "id" may be an index, unless it comes first.
        if alias in plain and (alias != ID or alias == aliases[0] or not others):
            return _only(place, names, plain, alias, _choose(role, needed))
    if len(others) > 1:
        shown = " and ".join(repr(names[plain.index(name)]) for name in others)
        raise DataError(
            f"has several columns that may be the {role}s: {shown}",
            place=place,
            remedy=_choose(role, needed),
        )
    return _only(place, names, plain, others[0], _choose(role, needed)) if others else None


def _only(
    place: object,
    names: Sequence[str],
    plain: Sequence[str],
    sought: str,
    remedy: Text,
) -> int | None:
    """Return the position of a name among the plain names; None if it is missing."""
    if sought not in plain:
        return None
    position = plain.index(sought)
    if plain.count(sought) > 1:
        rule = f"has several columns {names[position]!r}"
        raise DataError(rule, place=place, remedy=remedy)
    return position


def _choose(role: str, needed: Sequence[str]) -> Text:
    return ["choose with ", column_param(role, needed)]


def _check_roles(
    place: object, names: Sequence[str], columns: Mapping[str, int], needed: Sequence[str]
) -> None:
    """Refuse a column that has two roles."""
    roles: dict[int, str] = {}
    for role, position in columns.items():
        other = roles.setdefault(position, role)
        if other != role:
            raise DataError(
                f"column {names[position]!r} cannot be both {other} and {role}",
                place=place,
                remedy=[
                    "choose with ",
                    column_param(other, needed),
                    " and ",
                    column_param(role, needed),
                ],
            )


def _numbers_items(names: Sequence[str]) -> bool:
    """Return whether columns are probably named by items, as in a pivot table."""
    numbers = [name for name in names if name.isascii() and name.isdigit()]
    counts = numbers == [str(n) for n in range(len(names))]  # the default names of pandas
    mostly_numbers = len(names) >= _FEW and len(numbers) >= len(names) - 2 and not counts
    return mostly_numbers or len(names) > _WIDE


def _missing(
    place: object,
    role: str,
    wanted: str | None,
    names: Sequence[str],
    needed: Sequence[str],
    matrix: bool,
) -> DataError:
    if len(names) == 1 < len(needed):
        return DataError(
            f"has only one column, {names[0]!r}",
            place=place,
            remedy="separate columns with commas, tabs, semicolons, |, :: or spaces",
        )
    shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    sought = f"column {wanted!r}" if wanted else f"{role} column"
    choose = _choose(role, needed)
    if matrix:
        rule = f"has no {sought}, and its {len(names)} columns look like a matrix of ratings"
        return DataError(rule, place=place, remedy=[MELT, ", or ", choose])
    remedy = or_events(choose) if role == "rating" and not wanted else choose
    return DataError(f"has no {sought}; its columns are {shown}", place=place, remedy=remedy)

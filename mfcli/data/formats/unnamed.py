"""Texts without a header: the positions of their columns, and doubts about the default ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mfcli.data.formats.columns import (
    ALIASES,
    MELT,
    PAIRS,
    RATINGS,
    ROLES,
    column_param,
    find_columns,
    or_events,
    required,
)
from mfcli.data.formats.first_lines import FirstLines
from mfcli.data.formats.header import columns_as, is_position
from mfcli.data.times import is_time
from mfcli.errors import DataError, MfcliWarning, Param, Text

_ROWS = 10  # rows that must count up; fewer may do so by chance
_SMALL_ROWS = 3  # rows whose times must be small; no time of a rating is
_DIGITS = 18  # of the first value of an index
_SMALL = 100  # times up to this number look like ratings


def find_positions(
    first: FirstLines, chosen: Mapping[str, str] | None, needed: tuple[str, ...]
) -> dict[str, int]:
    """Return the position of the column of each role.

    By default, up to four columns are user, item, rating and timestamp. There are no timestamps if
    another role has the fourth column. In a text of events, the rating is ignored, and the third of
    three columns is the timestamp if it holds times. If separators are doubled, the empty columns
    between them do not count.

    Parameters
    ----------
    first : FirstLines
    chosen, needed
        As in `find_columns`.

    Raises
    ------
    DataError
        If there are too few or too many columns, a column is chosen by name or has two roles, or
        the first column is an index.
    """
    chosen, count = chosen or {}, len(first.fields)
    for role, name in chosen.items():
        if name and not is_position(name):
            raise DataError(
                f"has no header, so it has no column {name!r}",
                place=first.file,
                remedy=["choose by position, as with ", _example(role, needed)],
            )
    least = required(needed, chosen)
    if count < len(least):
        separate = "separate them with commas, tabs, semicolons or ::"
        raise DataError(
            f"must have {len(least)} fields ({', '.join(least)})",
            place=first.place,
            value=count,
            remedy=or_events(separate) if needed == RATINGS and count == len(PAIRS) else separate,
        )
    names = [str(position + 1) for position in range(count)]
    # In the ratings of Jester, two tabs separate columns.
    filled = names[::2] if _has_pairs(needed) and _is_doubled(first) else names
    # With five or more columns, it is uncertain which of them are needed.
    if len(filled) > len(ALIASES) and _has_pairs(needed) and not chosen.keys() >= set(needed):
        raise _too_many(first, least)
    roles = tuple(ALIASES) if needed == RATINGS and len(filled) <= len(ALIASES) else needed
    defaults = dict(zip(roles, filled, strict=False))
    if least != needed and len(filled) == len(RATINGS) and _are_times(first, filled[-1]):
        defaults["timestamp"] = filled[-1]
    if defaults.get("timestamp", "") in chosen.values():
        defaults["timestamp"] = ""
    defaults = {"timestamp": ""} | defaults  # no times, unless there is a fourth column
    columns = find_columns(first.file, names, defaults | dict(chosen), needed)
    if _counts(first, chosen, least) and columns.get("timestamp") == 3 and _are_small(first):
        raise DataError(_counting(first), place=first.file, remedy=_other_columns(first, least))
    return columns


def doubt_about(
    first: FirstLines, chosen: Mapping[str, str] | None, columns: Mapping[str, int]
) -> MfcliWarning | None:
    """Return a warning if a column by default may not have its role.

    Parameters
    ----------
    first : FirstLines
    chosen
        As in `find_columns`.
    columns : mapping of int
        As `find_positions` returns them.
    """
    chosen = chosen or {}
    needed = tuple(role for role in columns if role not in ("timestamp", "weight"))
    if _counts(first, chosen, needed):
        remedy = _other_columns(first, needed)
        return MfcliWarning(_counting(first), place=first.file, remedy=remedy)
    if columns.get("timestamp") == 3 and "timestamp" not in chosen and _are_small(first):
        return MfcliWarning(
            f"the fourth column is read as timestamps, but holds {_shown(_column(first, 3))}",
            place=first.file,
            remedy=[
                "ignore it with ",
                Param("columns.timestamp", ""),
                ", or if it holds the ratings, use ",
                Param("columns.rating", "4"),
            ],
        )
    return None


def _is_doubled(first: FirstLines) -> bool:
    """Return whether every second field of all lines is empty, and no other one."""
    least = 2 * len(PAIRS) - 1
    return all(
        len(row) >= least and not any(row[1::2]) and all(field.strip() for field in row[::2])
        for row in first.rows
    )


def _has_pairs(needed: Sequence[str]) -> bool:
    """Return whether a text holds ratings or pairs, not a list of ids or titles."""
    return set(needed) >= set(PAIRS)


def _example(role: str, needed: Sequence[str]) -> Param:
    roles = list(needed if role in needed else ROLES)
    return column_param(role, needed, str(roles.index(role) + 1))


def _too_many(first: FirstLines, needed: tuple[str, ...]) -> DataError:
    start = 2 if _counts(first, {}, needed) else 1
    positions = [str(start + n) for n in range(len(needed))]
    choose: Text = ["choose columns by position, as with ", columns_as(positions, needed)]
    rule = f"has {len(first.fields)} columns without names"
    if first.looks_like_matrix(first.rows):
        rule, choose = f"{rule} and looks like a matrix of ratings", [MELT, ", or ", choose]
    return DataError(rule, place=first.file, remedy=choose)


def _counts(first: FirstLines, chosen: Mapping[str, str], needed: Sequence[str]) -> bool:
    """Return whether the first column is the users by default, but counts up like an index.

    In a file of two columns, one row per user is usual.
    """
    values = _column(first, 0)
    if (
        not _has_pairs(needed)
        or "user" in chosen
        or len(first.fields) <= len(PAIRS)
        or len(values) < _ROWS
    ):
        return False
    if not (values[0].isascii() and values[0].isdigit() and len(values[0]) <= _DIGITS):
        return False
    start = int(values[0])  # few digits: int() of a long text is slow and limited
    return values == [str(start + n) for n in range(len(values))]


def _counting(first: FirstLines) -> str:
    return f"the first column is read as users, but counts up: {_shown(_column(first, 0))}, ..."


def _other_columns(first: FirstLines, needed: Sequence[str]) -> Text:
    others: Text = "remove it if it is an index"
    if len(first.fields) > len(needed):
        positions = [str(position + 2) for position in range(len(needed))]
        others = ["if it is an index, use ", columns_as(positions, needed)]
    return [others, "; if it holds the users, use ", Param("columns.user", "1")]


def _are_times(first: FirstLines, position: str) -> bool:
    values = _column(first, int(position) - 1)
    return bool(values) and all(is_time(value, first.decimal) for value in values)


def _are_small(first: FirstLines) -> bool:
    """Return whether the values of the fourth column are numbers like ratings, not times."""
    values = _column(first, 3)
    numbers = [
        float(value.replace(first.decimal, ".")) for value in values if first.is_number(value)
    ]
    # Some other text means that they are dates.
    is_number = len(numbers) == len(values) >= _SMALL_ROWS
    return is_number and all(abs(number) <= _SMALL for number in numbers)


def _column(first: FirstLines, position: int) -> list[str]:
    """Return the values of a column in the first rows that have all fields."""
    count = len(first.fields)
    return [row[position].strip() for row in first.rows if len(row) == count]


def _shown(values: Sequence[str]) -> str:
    return ", ".join(values[:3])

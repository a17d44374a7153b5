"""Whether the first line of a text names the columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mfcli.data.formats.columns import (
    PAIRS,
    RATINGS,
    Aliases,
    column_param,
    required,
    role_of,
)
from mfcli.data.formats.first_lines import FirstLines
from mfcli.data.formats.numbers import is_number, resembles_number
from mfcli.data.times import is_time
from mfcli.errors import DataError, Text

_SHOWN = 8  # fields in a message


def has_header(
    first: FirstLines,
    chosen: Mapping[str, str] | None,
    needed: tuple[str, ...],
    aliases: Aliases,
) -> bool:
    """Return whether the first line of a text names the columns.

    Columns chosen by position, from 1, mean that it does not. Otherwise it does if it contains a
    known or chosen name; in a text of ratings also if its third field is not a number, and in a
    text of events also if it has no numbers, but a column below it has only numbers.

    Parameters
    ----------
    first : FirstLines
    chosen, needed, aliases
        As in `find_columns`.

    Raises
    ------
    DataError
        If this is uncertain: names are numbers, positions are chosen in spite of names, or the
        first line looks like a row without a rating, or like an event.
    """
    fields, wanted = first.fields, [name for name in (chosen or {}).values() if name]
    if _number_columns(fields):  # before positions: "1" may be a name here
        roles = required(RATINGS, chosen)
        return _is_header_of_numbers(first, wanted, roles)
    known = any(role_of(field, aliases) for field in fields)
    if wanted and all(map(is_position, wanted)):
        if known and set(wanted) <= set(fields):
            return True  # the columns have these numbers as names
        if known:
            _check_positions(first, chosen or {}, required(needed, chosen), aliases)
        return False
    if names_columns(fields, chosen, aliases):
        return True
    # A list of ids or pairs may hold any text, so unknown names are a row there.
    if needed != RATINGS:
        return False
    if required(needed, chosen) == PAIRS:
        return bool(wanted) or _names_events(first)
    if is_rating(fields, first.decimal) or (len(fields) == len(PAIRS) and _has_number(first)):
        return False
    if not wanted:
        _check_names(first)
    return True


def names_columns(
    fields: Sequence[str], chosen: Mapping[str, str] | None, aliases: Aliases
) -> bool:
    """Return whether some fields are known or chosen names."""
    # A chosen position is not a name; an empty one ignores times.
    names = {name.lower() for name in (chosen or {}).values() if not name.isdigit()}
    return any(role_of(field, aliases) or field.lower() in names for field in fields if field)


def _has_number(first: FirstLines) -> bool:
    return any(first.is_number(field) for field in first.fields)


def _names_events(first: FirstLines) -> bool:
    """Return whether a first line without known names is above events, not one of them.

    Raises
    ------
    DataError
        If this is uncertain, because all columns are text.
    """

    def is_value(text: str) -> bool:
        return first.is_number(text) or is_time(text, first.decimal)

    if any(map(is_value, first.fields)):
        return False
    if any(all(map(is_value, column)) for column in zip(*first.rows[1:], strict=False)):
        return True
    raise DataError(
        "may be an event or a header",
        place=first.place,
        remedy=[
            "if it is an event, choose columns by position, as with ",
            columns_as("12", PAIRS),
            "; if it is a header, by name, as with ",
            columns_as(first.fields[: len(PAIRS)], PAIRS[: len(first.fields)]),
        ],
    )


def is_rating(fields: Sequence[str], decimal: str) -> bool:
    """Return whether the third field is a rating, so that it is no name."""
    return len(fields) >= 3 and (is_number(fields[2], decimal) or resembles_number(fields[2]))


def is_position(name: str) -> bool:
    """Return whether a chosen column is a position from 1, not a name."""
    return name.isascii() and name.isdigit() and set(name) != {"0"}


def columns_as(
    values: Iterable[str], roles: Sequence[str] = RATINGS, needed: Sequence[str] = RATINGS
) -> Text:
    """Return the parameters that choose the columns of some of the needed roles, for a remedy."""
    params = [column_param(role, needed, value) for role, value in zip(roles, values, strict=True)]
    return [piece for param in params for piece in (param, " ")][:-1]


def _number_columns(fields: Sequence[str]) -> bool:
    """Return whether fields are 0, 1, 2, ..., perhaps after an unnamed one, as pandas writes."""
    numbers = fields[_unnamed(fields) :]
    enough = len(numbers) >= (2 if _unnamed(fields) else 3)
    return enough and list(numbers) == [str(n) for n in range(len(numbers))]


def _unnamed(fields: Sequence[str]) -> bool:
    return fields[0] == "" or fields[0].lower().startswith("unnamed: 0")


def _is_header_of_numbers(first: FirstLines, wanted: list[str], roles: tuple[str, ...]) -> bool:
    """Return whether "0,1,2" are names; they are if "0" is chosen, which is not a position."""
    fields = first.fields
    named = bool(wanted) and set(wanted) <= set(fields)
    if named and "0" in wanted:
        return True
    if wanted and not named and not _unnamed(fields):
        return False
    names, positions = (columns_as(values[: len(roles)], roles) for values in ("012", "123"))
    remedy: Text = ["remove the line, or choose names, as with ", names]
    if not named and fields == ["0", "1", "2"]:
        remedy = [remedy, "; if it is a rating, use ", positions]
    raise DataError(
        f"{','.join(fields[:_SHOWN])} looks like the column numbers that pandas writes as a header",
        place=first.place,
        remedy=remedy,
    )


def _check_positions(
    first: FirstLines, chosen: Mapping[str, str], needed: tuple[str, ...], aliases: Aliases
) -> None:
    """Refuse positions if the first line clearly names the columns."""
    fields = first.fields
    positions = {
        role: int(chosen.get(role) or default) - 1 for default, role in enumerate(needed, start=1)
    }
    found = {role: fields[at] for role, at in positions.items() if at < len(fields)}
    if needed != RATINGS:
        names = any(role_of(name, aliases) == role for role, name in found.items())
    else:
        names = "rating" in found and not first.is_number(found["rating"])
    if names:
        by_name = {role: name for role, name in found.items() if role in chosen}
        raise DataError(
            f"names the columns ({', '.join(fields[:_SHOWN])}), but they are chosen by position",
            place=first.place,
            remedy=[
                "choose them by name, as with ",
                columns_as(by_name.values(), [*by_name], needed),
            ],
        )


def _check_names(first: FirstLines) -> None:
    """Refuse a first line of unknown names if some of them are numbers, so that it is a row."""
    fields = first.fields
    numbers = [at for at, field in enumerate(fields, start=1) if first.is_number(field)]
    if len(fields) < 3 or not numbers:
        return
    rating = next((at for at in numbers if at > 2), 3)  # the first number after two ids
    raise DataError(
        "is not a header with known names, and its third field is not a rating",
        place=first.place,
        value=fields[2],
        remedy=["choose columns by position, as with ", columns_as(("1", "2", str(rating)))],
    )

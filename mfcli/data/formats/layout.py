"""The layout of a file: its format, separator, header, and which column has which role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mfcli.data.formats.encodings import UTF8
from mfcli.data.formats.numbers import is_number, resembles_number
from mfcli.data.formats.preamble import Preamble, read_preamble
from mfcli.data.formats.separators import find_separator, has_spaces_after, split_lines
from mfcli.data.formats.tables import table_format, table_schema
from mfcli.data.sources import HEAD, File
from mfcli.errors import DataError, Param

ALIASES: dict[str, tuple[str, ...]] = {
    "user": ("userid", "user_id", "user", "uid"),
    "item": ("movie_idx", "movieid", "item_id", "itemid", "item", "movie_id", "iid"),
    "rating": ("rating", "score"),
    "timestamp": ("timestamp", "ts"),
}
"""Known names of the column of each role, in lower case; the first one found is used."""

JSON_ALIASES: dict[str, tuple[str, ...]] = {
    "user": (*ALIASES["user"], "reviewerid"),
    "item": (*ALIASES["item"], "parent_asin", "asin", "business_id", "book_id"),
    "rating": (*ALIASES["rating"], "overall", "stars"),
    "timestamp": (*ALIASES["timestamp"], "unixreviewtime", "date"),
}
"""`ALIASES` and the keys of the reviews of Amazon, Yelp and Goodreads, published as JSON lines."""

RATINGS = ("user", "item", "rating")
"""The roles that a file of ratings must have."""

PAIRS = ("user", "item")
"""The roles that a file of pairs must have."""

_SHOWN = 20  # column names in a message


@dataclass(frozen=True)
class Layout:
    """How to read one file.

    Attributes
    ----------
    file : File
    format : str
        "text", or a format with typed columns: "parquet", "arrow" or "json".
    separator : str
        Separates the fields of a text: a character or "::"; a space stands for any number of spaces
        and tabs.
    decimal : str
        Decimal mark: point or comma.
    header : bool
        Whether the first line that is not blank names the columns.
    skip : int
        Lines before the first row.
    names : list of str
        All columns of the file; "1", "2", ... if it has no header.
    columns : dict of int
        The positions of user, item, rating and, if there is one, timestamp.
    spaced : bool
        Whether a space follows each separator, so that spaces around fields are not part of them.
    """

    file: File
    format: str
    separator: str
    decimal: str
    header: bool
    skip: int
    names: list[str]
    columns: dict[str, int]
    spaced: bool = False

    @property
    def roles(self) -> dict[str, str]:
        """The name of the column of each role."""
        return {role: self.names[column] for role, column in self.columns.items()}

    def place(self, number: int) -> str:
        """Return a line of a text, or a row of a table, from 1, as the place in a message."""
        return f"{self.file}:{number}" if self.format == "text" else f"{self.file}: row {number}"

    def __str__(self) -> str:
        packed = f"{self.file.compression} " if self.file.compression else ""
        if self.file.encoding != UTF8:
            packed += f"{self.file.encoding} "
        if self.format != "text":
            return f"{packed}{self.format}"
        header = "header" if self.header else "no header"
        return f"{packed}text, separator {self.separator!r}, {header}"


def find_layout(
    file: File,
    chosen: Mapping[str, str] | None = None,
    decimal: str = ".",
    needed: tuple[str, ...] = RATINGS,
    aliases: Mapping[str, tuple[str, ...]] = ALIASES,
) -> Layout:
    """Find the layout of a file from its first lines.

    Parameters
    ----------
    file : File
        CSV, TSV, MovieLens `u.data` or `ratings.dat`, JSON lines, Parquet or Arrow.
    chosen : mapping of str, optional
        Column names for some of user, item, rating and timestamp; an empty timestamp ignores times.
    decimal : str
        Decimal mark of a text.
    needed : tuple of str
        `RATINGS` or `PAIRS`. A text of pairs has a header only if its first line contains a known
        or chosen name; a text of ratings also if its third field is not a number.
    aliases : mapping of tuple of str
        Known names of the column of each role.

    Raises
    ------
    DataError
        If the file is empty, in another format, or lacks a column.
    """
    with file.reading() as (stream, _):
        head = stream.read(HEAD)
    table = table_format(file, head)
    if table:
        names = list(table_schema(file, table).names)
        known = JSON_ALIASES if table == "json" and aliases is ALIASES else aliases
        columns = find_columns(file, names, chosen, needed, known)
        check_distinct(file, names, columns)
        return Layout(file, table, "", ".", True, 0, names, columns)
    preamble = read_preamble(file, head)
    separator = preamble.separator or find_separator(file, preamble.lines, decimal, len(needed))
    spaced = has_spaces_after(preamble.lines, separator)
    fields = [field.strip() for field in split_lines(preamble.lines[:1], separator, spaced)[0]]
    header = not preamble.is_matrix and (
        _names_columns(fields, chosen, aliases)
        or (needed == RATINGS and not _is_rating(fields, decimal))
    )
    comment = [] if header else _commented_header(file, preamble, separator, chosen, aliases)
    names = (fields if header else comment) or list(map(str, range(1, len(fields) + 1)))
    find = find_columns if header or comment else _positions
    columns = find(file, names, chosen, needed, aliases)
    skip = preamble.skip + header
    return Layout(file, "text", separator, decimal, header, skip, names, columns, spaced)


def _commented_header(
    file: File,
    preamble: Preamble,
    separator: str,
    chosen: Mapping[str, str] | None,
    aliases: Mapping[str, tuple[str, ...]],
) -> list[str]:
    """Return the column names in the comment before the first row; empty if there are none."""
    names = preamble.header(separator)
    if _names_columns(names, chosen, aliases):
        return [] if any(name.isdigit() for name in (chosen or {}).values()) else names
    for line, fields in preamble.like_rows(separator):
        if _is_rating(fields, ".") or all(is_number(field, ".") for field in fields):
            raise DataError(
                "may be a comment or a rating",
                place=f"{file}:{line}",
                remedy="remove the line, or write a line with the column names before it",
            )
    return []


def _names_columns(
    fields: Sequence[str],
    chosen: Mapping[str, str] | None,
    aliases: Mapping[str, tuple[str, ...]],
) -> bool:
    known = {alias for names in aliases.values() for alias in names}
    known.update(name.lower() for name in (chosen or {}).values() if not name.isdigit())
    return bool(known.intersection(field.lower() for field in fields))


def _is_rating(fields: Sequence[str], decimal: str) -> bool:
    """Return whether the third field of the first line is a rating, so that it is no header."""
    return len(fields) >= 3 and (is_number(fields[2], decimal) or resembles_number(fields[2]))


def find_columns(
    place: object,
    names: Sequence[str],
    chosen: Mapping[str, str] | None,
    needed: tuple[str, ...] = RATINGS,
    aliases: Mapping[str, tuple[str, ...]] = ALIASES,
) -> dict[str, int]:
    """Return the position of the column of each role.

    Parameters
    ----------
    place : object
        Where the columns are, for messages.
    names : sequence of str
        All columns.
    chosen : mapping of str, optional
        As in `find_layout`.
    needed : tuple of str
        `RATINGS`, which includes times if there are any, or `PAIRS`.
    aliases : mapping of tuple of str
        Known names of the column of each role.

    Raises
    ------
    DataError
        If a needed or chosen column is missing, a name fits several columns, or a column has two
        roles.
    """
    lower = [name.lower() for name in names]
    columns = {}
    for role in ALIASES if needed == RATINGS else needed:
        wanted = (chosen or {}).get(role)
        sought = aliases[role] if wanted is None else (wanted.lower(),)
        found = [lower.index(alias) for alias in sought if alias in lower]
        if found and wanted not in names and lower.count(lower[found[0]]) > 1:
            raise DataError(
                f"has several columns {names[found[0]]!r}",
                place=place,
                remedy=["choose with ", Param(f"columns.{role}")],
            )
        if found:
            columns[role] = names.index(wanted) if wanted in names else found[0]
        elif role != "timestamp" or wanted:
            raise _missing(place, role, wanted, names)
    _check_roles(place, names, columns)
    return columns


def _check_roles(place: object, names: Sequence[str], columns: Mapping[str, int]) -> None:
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
                    Param(f"columns.{other}"),
                    " and ",
                    Param(f"columns.{role}"),
                ],
            )


def _positions(
    file: File,
    names: list[str],
    chosen: Mapping[str, str] | None,
    needed: tuple[str, ...],
    aliases: Mapping[str, tuple[str, ...]],
) -> dict[str, int]:
    """Return the columns of a text without a header, by default in the order of the roles.

    Timestamps are optional: there are none if another role has their default column.
    """
    roles = ALIASES if needed == RATINGS else needed
    defaults = dict(zip(roles, names, strict=False)) | dict(chosen or {})
    if "timestamp" not in (chosen or {}) and defaults.get("timestamp") in (chosen or {}).values():
        defaults["timestamp"] = ""
    if len(names) < len(needed):
        rule = f"must have {len(needed)} fields ({', '.join(needed)})"
        raise DataError(rule, place=f"{file}:1", value=len(names))
    return find_columns(file, names, {"timestamp": ""} | defaults, needed, aliases)


def _missing(place: object, role: str, wanted: str | None, names: Sequence[str]) -> DataError:
    shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    sought = f"column {wanted!r}" if wanted else f"{role} column"
    return DataError(
        f"has no {sought}; its columns are {shown}",
        place=place,
        remedy=["choose with ", Param(f"columns.{role}")],
    )


def check_distinct(place: object, names: Sequence[str], columns: Mapping[str, int]) -> None:
    """Refuse columns of roles that share their exact name with others."""
    for role, column in columns.items():
        if names.count(names[column]) > 1:
            raise DataError(
                f"has several columns {names[column]!r}",
                place=place,
                remedy=["rename them, or choose another with ", Param(f"columns.{role}")],
            )

"""The layout of a file: its format, separator, header, and which column has which role."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pyarrow as pa

from mfcli.data.formats.columns import (
    ALIASES,
    JSON_ALIASES,
    Aliases,
    find_columns,
    preferring,
    required,
)
from mfcli.data.formats.encodings import UTF8
from mfcli.data.formats.first_lines import WIDE, FirstLines
from mfcli.data.formats.header import has_header, is_rating, names_columns
from mfcli.data.formats.numbers import is_number
from mfcli.data.formats.preamble import Preamble, read_preamble
from mfcli.data.formats.separators import find_separator, has_spaces_after
from mfcli.data.formats.tables import table_format, table_schema
from mfcli.data.formats.unnamed import doubt_about, find_positions
from mfcli.data.sources import HEAD, File
from mfcli.errors import DataError, MfcliWarning


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
        Whether the first line after comments and blank lines names the columns.
    skip : int
        Lines before the first row.
    names : list of str
        All columns of the file; "1", "2", ... if neither a header nor a comment names them.
    columns : dict of int
        The positions of user, item and, if they exist, rating, timestamp and weight.
    spaced : bool
        Whether a space follows each separator, so that spaces around fields are not part of them.
    rows : int, optional
        The number of rows that a text states on the line before the first one.
    implicit : bool
        Whether ratings are strengths, which must be positive.
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
    rows: int | None = None
    implicit: bool = False

    @property
    def is_named(self) -> bool:
        """Whether a header or a comment names the columns, or the format does."""
        return self.names != _positions(len(self.names)) or self.header

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


@dataclass(frozen=True)
class Outline:
    """What the start of a file tells, before roles are given to its columns.

    Attributes
    ----------
    layout : Layout
        Without columns.
    unnamed : FirstLines, optional
        The first lines of a text whose columns have no names.
    aliases : mapping of tuple of str
        Known names of the column of each role.
    matrix : bool
        Whether the file looks like a matrix of ratings.
    positions : mapping of str
        Of the columns of other ratings, if those have no names.
    """

    layout: Layout
    unnamed: FirstLines | None
    aliases: Aliases
    matrix: bool
    positions: Mapping[str, str] = field(default_factory=dict)

    def completed(
        self, chosen: Mapping[str, str] | None, needed: tuple[str, ...]
    ) -> tuple[Layout, MfcliWarning | None]:
        """Return the layout with its columns, and a warning if a default is doubtful.

        Parameters
        ----------
        chosen, needed
            As in `find_layouts`.

        Raises
        ------
        DataError
            If a column is missing, ambiguous or probably not what its position says.
        """
        file, names, first = self.layout.file, self.layout.names, self.unnamed
        if first is None:
            columns = find_columns(file, names, chosen, needed, self.aliases, matrix=self.matrix)
            return replace(self.layout, columns=columns), None
        columns = find_positions(first, {**self.positions, **(chosen or {})}, needed)
        # A warning, not yet issued: the parts of a folder need only one.
        return replace(self.layout, columns=columns), doubt_about(first, chosen, columns)


def outline(
    file: File,
    chosen: Mapping[str, str] | None,
    decimal: str,
    needed: tuple[str, ...],
    aliases: Aliases,
    names: Mapping[str, str] | None = None,
) -> Outline:
    """Find the format, separator, header and column names of a file from its first lines.

    Parameters
    ----------
    file : File
    chosen, decimal, needed, aliases, names
        As in `find_layouts`.

    Raises
    ------
    DataError
        If the file is empty, in another format, or it is uncertain whether it has a header.
    """
    with file.reading() as (stream, _):
        head = stream.read(HEAD)
    table = table_format(file, head)
    if table:
        schema = table_schema(file, table)
        layout = Layout(file, table, "", ".", True, 0, list(schema.names), {})
        # The names of reviews apply to ratings and pairs, not to lists of ids and titles.
        known = JSON_ALIASES if table == "json" and aliases is ALIASES else aliases
        known = preferring(names, known) if names else known
        return Outline(layout, None, known, _is_matrix(schema))
    aliases = preferring(names, aliases) if names else aliases
    preamble = read_preamble(file, head)
    least = len(required(needed, chosen))
    separator = preamble.separator or find_separator(file, preamble.lines, decimal, least)
    spaced = has_spaces_after(preamble.lines, separator)
    first = FirstLines(file, preamble.skip + 1, preamble.rows, separator, decimal, spaced)
    # The sizes of a Matrix Market file are skipped already, and it has no header.
    positions = {role: name for role, name in (names or {}).items() if name.isdigit()}
    wanted = any((chosen or {}).values())
    # Like the other ratings, the text has no header, unless it has known names.
    is_alike = bool(positions) and not wanted and not names_columns(first.fields, None, aliases)
    has_names = preamble.entries is None and not is_alike
    header = has_names and has_header(first, chosen, needed, aliases)
    if header:
        _check_widths(first)
    comment = [] if header else _commented_header(file, preamble, separator, chosen, aliases)
    named = first.fields if header else comment
    columns = named or _positions(len(first.fields))
    skip = preamble.skip + header
    rows = preamble.entries
    layout = Layout(file, "text", separator, decimal, header, skip, columns, {}, spaced, rows)
    matrix = header and first.looks_like_matrix(first.rows[1:])
    return Outline(layout, None if named else first, aliases, matrix, positions)


def _positions(count: int) -> list[str]:
    """Return the names of columns without names."""
    return [str(position) for position in range(1, count + 1)]


def _commented_header(
    file: File,
    preamble: Preamble,
    separator: str,
    chosen: Mapping[str, str] | None,
    aliases: Aliases,
) -> list[str]:
    """Return the column names in the comment before the first row; empty if there are none."""
    names = preamble.header(separator)
    if names_columns(names, chosen, aliases):
        # Positions are of a text without names.
        return [] if any(name.isdigit() for name in (chosen or {}).values()) else names
    for line, fields in preamble.like_rows(separator):
        if is_rating(fields, ".") or all(is_number(field, ".") for field in fields):
            raise DataError(
                "may be a comment or a rating",
                place=f"{file}:{line}",
                remedy="remove the line, or write a line with the column names before it",
            )
    return []


def _is_matrix(schema: pa.Schema) -> bool:
    numbers = [pa.types.is_floating(kind) or pa.types.is_integer(kind) for kind in schema.types]
    # One column may hold the users.
    return len(numbers) >= WIDE and sum(numbers) >= len(numbers) - 1


def _check_widths(first: FirstLines) -> None:
    """Refuse a text if all rows have one field more than the header."""
    rows, count = first.rows[1:], len(first.fields)
    # One row alone may simply be faulty.
    if len(rows) < 2 or any(len(row) != count + 1 for row in rows):
        return
    rule = f"has {count} names in the header, but {count + 1} fields in each row"
    if all(row[-1] == "" for row in rows):
        remedy = "remove the separator at the end of each row"
    else:
        remedy = (
            "if the first field is an index, as R writes it, name it in the header too; if numbers"
            " have decimal commas, put them in quotes"
        )
    raise DataError(rule, place=first.place, remedy=remedy)

"""The first rows of a text, from which its header and the roles of its columns are found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from mfcli.data.formats.numbers import is_number
from mfcli.data.formats.separators import split_lines
from mfcli.data.sources import File

_MISSING = {"", "nan", "na", "n/a", "null", "none"}  # values of a matrix without a rating
WIDE = 10
"""Number of columns of a matrix; a list of ratings with as many numbers is rare."""


@dataclass(frozen=True)
class FirstLines:
    """The first lines of a text, after its comments.

    Attributes
    ----------
    file : File
    number : int
        The number of the first line, from 1.
    lines : list of str
        Lines that are not blank; at least one.
    separator : str
    decimal : str
        Decimal mark.
    spaced : bool
        Whether a space follows each separator.
    """

    file: File
    number: int
    lines: list[str]
    separator: str
    decimal: str
    spaced: bool

    @property
    def place(self) -> str:
        """The file and the number of the first line."""
        return f"{self.file}:{self.number}"

    @cached_property
    def fields(self) -> list[str]:
        """The fields of the first line, without blanks around them."""
        return [field.strip() for field in self._split(self.lines[0])]

    @cached_property
    def rows(self) -> list[list[str]]:
        """The fields of all lines, the first line included."""
        return [self._split(line) for line in self.lines]

    def _split(self, line: str) -> list[str]:
        return split_lines([line], self.separator, self.spaced)[0]

    def is_number(self, text: str) -> bool:
        """Return whether a text can be read as a number, NaN and infinity included."""
        return is_number(text, self.decimal)

    def looks_like_matrix(self, rows: Sequence[Sequence[str]]) -> bool:
        """Return whether rows hold an id and many numbers, some perhaps missing."""
        return len(self.fields) >= WIDE and bool(rows) and all(map(self._is_matrix_row, rows))

    def _is_matrix_row(self, row: Sequence[str]) -> bool:
        values = (value.strip() for value in row[1:])  # the first field is an id
        return all(value.lower() in _MISSING or self.is_number(value) for value in values)

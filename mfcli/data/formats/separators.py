"""The separator of the fields of a text, found in its first lines."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence

COLONS = "::"
"""Separates the fields of MovieLens `ratings.dat`; quotes are not special."""

SPACES = " "
"""Stands for any number of spaces and tabs."""

_SINGLE = ("\t", ",", ";", "|")
_WORD = re.compile(r'"(?:[^"]|"")*"(?![^ \t\r\n])|[^ \t\r\n]+')
_DECIMAL = re.compile(r"[-+]?\d+,\d+")


def find_separator(lines: Sequence[str], decimal: str, least: int) -> str:
    """Return the separator that splits the first lines of a text into equally many fields.

    Parameters
    ----------
    lines : sequence of str
        The header, if there is one, and some rows; at least one line.
    decimal : str
        Decimal mark. A comma separates only if numbers with a decimal comma are in quotes.
    least : int
        Number of fields that are needed.

    Returns
    -------
    str
        The one with the most fields. If no separator is consistent, some row is invalid; then the
        first line decides.
    """
    candidates = [one for one in (COLONS, *_SINGLE) if one != decimal or _in_quotes(lines, one)]
    widths = {one: [len(fields) for fields in split_lines(lines, one)] for one in candidates}
    first = {one: counts[0] for one, counts in widths.items()}
    even = [one for one in candidates if first[one] >= least and len({*widths[one]}) == 1]
    if even:
        return max(even, key=first.__getitem__)
    if max(first.values()) < least and _is_spaced(lines, least):
        return SPACES
    return max(candidates, key=first.__getitem__)


def split_lines(lines: Sequence[str], separator: str) -> list[list[str]]:
    """Split lines into fields; quotes are special unless the separator is `COLONS`."""
    if separator == COLONS:
        return [line.split(COLONS) for line in lines]
    if separator == SPACES:
        return [split_words(line) for line in lines]
    return list(csv.reader(lines, delimiter=separator))


def split_words(line: str) -> list[str]:
    """Split a line at spaces and tabs; a word in quotes may contain spaces."""
    words = _WORD.findall(line)
    return [word[1:-1].replace('""', '"') if word[0] == '"' == word[-1] else word for word in words]


def has_spaces_after(lines: Sequence[str], separator: str) -> bool:
    """Return whether a space follows every separator in all rows of a text.

    The spaces are then not part of the fields. The header may be written without them.
    """
    if separator == SPACES:
        return False
    rows = [line.split(separator)[1:] for line in lines[1:] or lines]
    return all(fields and all(field[:1] == " " for field in fields) for fields in rows)


def _in_quotes(lines: Sequence[str], separator: str) -> bool:
    """Return whether a separator that is also the decimal mark occurs in quoted numbers."""
    rows = split_lines(lines, separator)
    return any(_DECIMAL.fullmatch(field.strip()) for fields in rows for field in fields)


def _is_spaced(lines: Sequence[str], least: int) -> bool:
    """Return whether spaces split all lines into equally many words, each of them one field."""
    rows = [split_words(line) for line in lines]
    if len(rows[0]) < least or len({len(words) for words in rows}) > 1:
        return False
    return all(
        _DECIMAL.fullmatch(word) or not any(mark in word for mark in _SINGLE)
        for words in rows
        for word in words
    )

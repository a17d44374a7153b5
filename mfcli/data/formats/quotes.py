"""Quoted fields: which places of a text are inside quotes, and which rows span lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mfcli.types import Mask

_QUOTE, _LINE_FEED, _RETURN = b'"\n\r'


class SpanningRow(NamedTuple):
    """A row with line breaks in quoted fields.

    Attributes
    ----------
    start, end : int
        Its place in the text.
    closes : bool
        Whether all quotes close, before a separator, the end of the row or another quote.
    has_full_lines : bool
        Whether a line after its first one has as many separators as a row.
    """

    start: int
    end: int
    closes: bool
    has_full_lines: bool


class Quotes:
    """Knows which places of a text are inside quoted fields.

    A quote opens a field only at its start, or directly after a quote that has just closed it: two
    quotes in a quoted field stand for one. Any other quote is part of the text. If all quotes
    alternate in this way, as they usually do, every second one opens.

    Parameters
    ----------
    data : bytes
        Starts at the start of a row.
    separator : str
        A single character.
    """

    def __init__(self, data: bytes, separator: str) -> None:
        self._letters = letters = np.frombuffer(data, np.uint8)
        self._separator = ord(separator)
        self._places = np.flatnonzero(letters == _QUOTE)
        # At place 0 this is the last character, so place 0 is treated apart.
        before = letters[self._places - 1]
        starts = (before == self._separator) | (before == _LINE_FEED) | (before == _RETURN)
        starts |= self._places == 0
        adjacent = (before == _QUOTE) & (self._places > 0)
        if (starts | adjacent)[::2].all():
            opens = np.arange(len(starts)) % 2 == 0
        else:
            opens = _follow(starts, adjacent)  # a Python loop; few pieces need it
        self._is_open = np.concatenate([[False], opens])  # by the number of quotes before a place

    def opening(self, place: int) -> int | None:
        """Return the position of the quote that opens the field around a place, if any."""
        number = int(np.searchsorted(self._places, place))
        return int(self._places[number - 1]) if self._is_open[number] else None

    def outside(self, places: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the places that are not inside a quoted field; they must be ascending."""
        kept: NDArray[np.intp] = places[~self._is_open[np.searchsorted(self._places, places)]]
        return kept

    def spanning_rows(self, separators: int) -> Iterator[SpanningRow]:
        """Yield the rows that have a line break in quotes, or a quote that does not close.

        Parameters
        ----------
        separators : int
            Number of separators in a row.
        """
        letters = self._letters
        breaks = np.flatnonzero((letters == _LINE_FEED) | (letters == _RETURN))
        before = np.append(np.searchsorted(breaks, self._places), len(breaks))
        opens = self._is_open[1:]
        spanning = self._places[opens & (before[1:] > before[:-1])]
        if self._is_open[-1]:
            spanning = np.union1d(spanning, self._places[-1:])
        if not len(spanning):
            return
        starts = np.concatenate([[0], self.outside(breaks) + 1])
        rows = np.unique(np.searchsorted(starts, spanning, side="right")) - 1
        faulty = np.searchsorted(starts, self._faulty_closings(), side="right") - 1
        # Count the full lines in each row, without its first one.
        lines = np.concatenate([[0], breaks + 1])
        found = np.searchsorted(np.flatnonzero(letters == self._separator), lines)
        is_full = np.diff(found, append=np.count_nonzero(letters == self._separator)) >= separators
        full = np.concatenate([[0], np.cumsum(is_full)])
        ends = np.append(starts[1:], len(letters))
        first, last = np.searchsorted(lines, starts[rows]), np.searchsorted(lines, ends[rows])
        yield from map(
            SpanningRow,
            starts[rows].tolist(),
            ends[rows].tolist(),
            (~np.isin(rows, faulty)).tolist(),
            (full[last] > full[first + 1]).tolist(),
        )

    def _faulty_closings(self) -> NDArray[np.intp]:
        """Return the quotes after which a field continues, and the last one if it stays open."""
        was_open, is_open = self._is_open[:-1], self._is_open[1:]
        closings = self._places[was_open & ~is_open]
        after = np.append(self._letters, _LINE_FEED)[closings + 1]
        ends = np.isin(after, [self._separator, _QUOTE, _LINE_FEED, _RETURN])
        return np.append(closings[~ends], self._places[-1:][is_open[-1:]])


def _follow(starts: Mask, adjacent: Mask) -> Mask:
    """Return which quotes open a field, or open it again, going from one quote to the next."""
    opens = np.empty(len(starts), np.bool_)
    is_open = has_closed = False
    pairs = zip(starts.tolist(), adjacent.tolist(), strict=True)
    for number, (starts_field, follows_quote) in enumerate(pairs):
        was_open = is_open
        is_open = not was_open and (starts_field or (follows_quote and has_closed))
        has_closed = was_open
        opens[number] = is_open
    return opens

"""Quoted fields: which places of a text are inside quotes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mfcli.types import Mask

_QUOTE, _LINE_FEED, _RETURN = b'"\n\r'


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
        letters = np.frombuffer(data, np.uint8)
        self._places = np.flatnonzero(letters == _QUOTE)
        before = letters[self._places - 1]
        starts = (before == ord(separator)) | (before == _LINE_FEED) | (before == _RETURN)
        starts |= self._places == 0
        adjacent = (before == _QUOTE) & (self._places > 0)
        if (starts | adjacent)[::2].all():
            opens = np.arange(len(starts)) % 2 == 0
        else:
            opens = _follow(starts, adjacent)
        self._is_open = np.concatenate([[False], opens])  # by the number of quotes before a place

    def opening(self, place: int) -> int | None:
        """Return the position of the quote that opens the field around a place, if any."""
        number = int(np.searchsorted(self._places, place))
        return int(self._places[number - 1]) if self._is_open[number] else None

    def outside(self, places: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the places that are not inside a quoted field; they must be ascending."""
        kept: NDArray[np.intp] = places[~self._is_open[np.searchsorted(self._places, places)]]
        return kept


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

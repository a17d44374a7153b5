"""Outside text, such as titles and names, as text that HTML and XML can hold."""

from __future__ import annotations

import re

_LONG = 28  # characters of a name in a chart

_SPACES = re.compile(r"[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]+")

# Controls, lone surrogates and noncharacters: not allowed in HTML, or replaced by browsers.
_INVALID = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"
    + "".join(
        f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(1 << 16, 17 << 16, 1 << 16)
    )
    + "]"
)

_DIRECTIONS = re.compile("[\u202a-\u202e\u2066-\u2069]")  # they change the order of what follows


def plain(text: str) -> str:
    """Replace what a page cannot hold: line breaks by a space, other controls by U+FFFD."""
    return _INVALID.sub("\ufffd", _SPACES.sub(" ", text))


def isolated(text: str) -> str:
    """Return a name to put into a sentence, which a name of any direction does not reorder."""
    return f"\u2068{_DIRECTIONS.sub('', plain(text))}\u2069"


def is_long(text: str, most: int = _LONG) -> bool:
    """Return whether `shortened` leaves out a part of a name."""
    return len(_DIRECTIONS.sub("", plain(text))) > most


def shortened(text: str, most: int = _LONG) -> str:
    """Shorten a long name in the middle, because names often differ at the end."""
    text = _DIRECTIONS.sub("", plain(text))
    if len(text) <= most:
        return text
    end = (most - 1) // 2
    return f"{text[: most - 1 - end]}\u2026{text[-end:]}"

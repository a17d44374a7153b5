"""Numbers that people and spreadsheets write in other notations, and what to do about them."""

from __future__ import annotations

import re

from mfcli.errors import Param, Text

INFINITE = 2.0**128 - 2.0**103
"""From here on, numbers round to infinity in float32."""

ZERO = 2.0**-150
"""Up to here, positive numbers round to zero in float32."""

_RESEMBLES = re.compile(r"(?:[$€£¥]\s?)?([-+]?\d[\d.,'\s]*)(?:\s?(?:[%$€£¥]|EUR|USD))?")


def is_number(text: str, decimal: str) -> bool:
    """Return whether a text can be read as a number, NaN and infinity included."""
    try:
        float(text.replace(decimal, "."))
    except ValueError:
        return False
    return True


def resembles_number(text: str) -> bool:
    """Return whether a text is a number with other marks, such as 2,5 or 1 234 or 80 %."""
    return _RESEMBLES.fullmatch(text.strip()) is not None


def thousands_pattern(mark: str) -> str:
    """Return a regular expression of numbers whose marks may separate thousands, such as 1,234.

    Three digits follow each mark. It is in the syntax that Python and Arrow share.
    """
    return rf"^\s*[-+]?[1-9][0-9]{{0,2}}([{mark}][0-9]{{3}})+\s*$"


def may_be_thousands(text: str, mark: str) -> bool:
    """Return whether a mark may separate thousands."""
    return re.match(thousands_pattern(mark), text) is not None


def rating_hint(text: str, decimal: str) -> Text:
    """Return what to do about a rating in another notation; empty if it is in none that is known.

    Parameters
    ----------
    text : str
    decimal : str
        Decimal mark that was used to read it.
    """
    text = text.strip()
    found = _RESEMBLES.fullmatch(text)
    if found is None:
        return ""
    number = found[1].strip()
    if number != text:
        return "write ratings without a unit"
    point, comma = number.rfind("."), number.rfind(",")
    if re.search(r"[\s']", number) or number.count(",") > 1 or number.count(".") > 1:
        return _no_thousands(number)
    if point >= 0 and comma >= 0:
        return _no_thousands(number)
    if decimal == "." and comma >= 0:
        return _comma_hint(number)
    if decimal == "," and may_be_thousands(number, "."):
        return _no_thousands(number)
    return ""


def _comma_hint(number: str) -> Text:
    if may_be_thousands(number, ","):
        plain = number.replace(",", "")
        return f"write it without commas if it is {plain}, or with a decimal point if not"
    return ["use ", Param("decimal", ","), " if the comma is a decimal mark"]


def _no_thousands(number: str) -> Text:
    last = max(number.rfind("."), number.rfind(","))
    mark = number[last : last + 1]
    both = "." in number and "," in number
    if both and mark == ",":
        return ["write it without thousands separators, and read it with ", Param("decimal", ",")]
    return "write it without thousands separators"

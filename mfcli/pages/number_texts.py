"""Numbers and dates as text."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

NOTHING = "\u2013"
"""What is shown where there is no number."""

_START = datetime(1970, 1, 1, tzinfo=UTC)
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float | None) -> float:
    """Return a number that can be shown; NaN stands for None and for what is not finite."""
    value = math.nan if value is None else float(value)
    return value if math.isfinite(value) else math.nan


def count(value: float | None) -> str:
    """Format a count, such as "2,000"."""
    return fixed(number(value), 0)


def digits(value: float | None) -> str:
    """Format a number with four decimals, or with four digits if it is very small or large."""
    value = number(value)
    if math.isnan(value):
        return NOTHING
    if value == 0 or 0.01 <= abs(value) < 1e6:
        return fixed(value, 4)
    if 1e-4 <= abs(value) < 1e15:
        return minus(f"{value:,.4g}") if abs(value) < 1 else fixed(value, 0)
    return scientific(value)


def percent(value: float | None, decimals: int = 1) -> str:
    """Format a fraction as a percentage, such as "12.5%"."""
    text = fixed(100 * number(value), decimals)
    return text if text == NOTHING else f"{text}%"


def date(value: float | None) -> str:
    """Format seconds since 1970 as a day in UTC, such as "2003-02-01"."""
    found = moment(number(value))
    return NOTHING if found is None else found.date().isoformat()


def moment(seconds: float) -> datetime | None:
    """Return the time of seconds since 1970, or None outside the years 1 to 9999."""
    try:
        return _START + timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        return None


def fixed(value: float, decimals: int) -> str:
    """Format a number with commas and a given number of decimals; NaN is a dash."""
    if math.isnan(value):
        return NOTHING
    text = f"{value:,.{decimals}f}"
    return minus(text if text.strip("-0.,") else text.removeprefix("-"))


def scientific(value: float, decimals: int = 3) -> str:
    """Format a number with its power of ten."""
    mantissa, _, exponent = f"{value:.{decimals}e}".partition("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return minus(f"{mantissa}\u00d7{power(int(exponent))}")


def power(exponent: int) -> str:
    """Format a power of ten, such as "10⁻⁶"."""
    return f"10{str(exponent).translate(_SUPERSCRIPTS)}"


def minus(text: str) -> str:
    """Replace a hyphen before a number by a minus sign, which is as wide as a digit."""
    return f"\u2212{text[1:]}" if text.startswith("-") else text

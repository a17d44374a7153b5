"""Durations as text, such as 365d."""

from __future__ import annotations

import math

_DAY = 24 * 3600
_UNITS = {"s": 1, "h": 3600, "d": _DAY, "w": 7 * _DAY, "y": 365.25 * _DAY}
DURATION_RULE = "a duration above 0 such as 365d (units s, h, d, w and y)"
"""What `seconds_in` reads, in words that follow "must be"."""


def seconds_in(duration: str) -> float:
    """Return the seconds of a number with a unit: seconds, hours, days, weeks or years.

    A year has 365.25 days.

    Raises
    ------
    ValueError
        If it is not one.
    """
    number, unit = duration[:-1], duration[-1:]
    if unit not in _UNITS:
        raise ValueError(f"{duration!r} has no unit")
    seconds = float(number) * _UNITS[unit]
    if not 0 < seconds < math.inf:
        raise ValueError(f"{duration!r} is not positive and finite")
    return seconds

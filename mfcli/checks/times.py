"""Facts about the times of ratings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mfcli.data import PLAUSIBLE, UNITS, unit_of

_EARLIEST = 631_152_000  # 1990-01-01, in seconds since 1970
_DAY = 86_400


@dataclass(frozen=True)
class Times:
    """When ratings were given.

    Attributes
    ----------
    first, last : str
        Dates in ISO 8601.
    unit : str
        The unit that the file seems to use: "seconds", or a smaller one.
    early, future : int
        Number of ratings before 1990, and more than a day after now.
    same : bool
        Whether there are several ratings and all have the same time.
    small : list of two int, optional
        The first and the last time as numbers, if all are too small to be dates: values from 1 to
        5, days, or numbers that only tell the order.
    """

    first: str
    last: str
    unit: str
    early: int
    future: int
    same: bool
    small: list[int] | None


def times_of(timestamp: NDArray[np.int64] | None, now: float) -> Times | None:
    """Return the facts about times; None if there are none.

    Parameters
    ----------
    timestamp : int64 array, shape (n,), optional
    now : float
        Seconds since 1970.
    """
    if timestamp is None:
        return None
    first, last = int(timestamp.min()), int(timestamp.max())
    # Readers convert times to seconds; this is for ratings made in Python.
    unit = unit_of(last)
    second = UNITS.get(unit, 1)
    return Times(
        first=_date(first // second),
        last=_date(last // second),
        unit=unit,
        early=int(np.count_nonzero(timestamp < _EARLIEST * second)),
        # A day more, because times may be local and clocks wrong.
        future=int(np.count_nonzero(timestamp > (int(now) + _DAY) * second)),
        same=first == last and len(timestamp) > 1,
        small=[first, last] if first >= 0 and last < PLAUSIBLE else None,
    )


def _date(seconds: int) -> str:
    return str(np.datetime64(seconds, "s").astype("datetime64[D]"))

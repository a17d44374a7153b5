"""Facts about the times of ratings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mfcli.data import PLAUSIBLE, UNITS, unit_of
from mfcli.types import Mask

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


def times_of(columns: Callable[[], Iterable[NDArray[np.int64]]], now: float) -> Times:
    """Return the facts about times.

    Parameters
    ----------
    columns : callable
        Returns the times, at least one, in seconds since 1970.
    now : float
        Seconds since 1970.
    """
    ends = [(int(times.min()), int(times.max())) for times in columns() if len(times)]
    first, last = min(low for low, _ in ends), max(high for _, high in ends)
    # Readers convert times to seconds; this is for ratings made in Python.
    unit = unit_of(last)
    second = UNITS.get(unit, 1)
    # A day more, because times may be local and clocks wrong.
    earliest, latest = _EARLIEST * second, (int(now) + _DAY) * second
    has_odd = first < earliest or last > latest
    odd = [(_count(t < earliest), _count(t > latest)) for t in columns()] if has_odd else []
    return Times(
        first=_date(first // second),
        last=_date(last // second),
        unit=unit,
        early=sum(early for early, _ in odd),
        future=sum(future for _, future in odd),
        same=first == last and sum(map(len, columns())) > 1,
        small=[first, last] if first >= 0 and last < PLAUSIBLE else None,
    )


def _count(mask: Mask) -> int:
    return int(np.count_nonzero(mask))


def _date(seconds: int) -> str:
    return str(np.datetime64(seconds, "s").astype("datetime64[D]"))

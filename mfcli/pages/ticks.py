"""Round values at which an axis has ticks."""

from __future__ import annotations

import math
from collections.abc import Iterator

_STEPS = (1, 2, 5)
_DIGITS: tuple[tuple[int, ...], ...] = (_STEPS, (1, 3), (1,))  # first digits of logarithmic ticks
_SHORT = 50  # times the lower end
_TOLERANCE = 1e-9  # in steps: ends of an axis that rounding moved past a tick


def linear_ticks(low: float, high: float, most: int, least_step: float = 0) -> list[float]:
    """Return multiples of 1, 2 or 5 times a power of ten, as many as there may be.

    Parameters
    ----------
    low, high : float
        The ends of the axis, low < high.
    most : int
        How many ticks there may be, at least 1.
    least_step : float
        The smallest distance of ticks, such as 1 for whole numbers.

    Returns
    -------
    list of float
        Increasing, within the axis.
    """
    return _multiples(low, high, most, least_step, outer=False)


def outer_ticks(low: float, high: float, most: int, least_step: float = 0) -> list[float]:
    """Return the same kind of ticks; the first is at most `low`, and the last at least `high`."""
    return _multiples(low, high, most, least_step, outer=True)


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Return values such as 1, 2, 5 and 10, only powers of ten on a long axis.

    Parameters
    ----------
    low, high : float
        The ends of the axis, 0 < low < high.
    most : int
        How many ticks there may be, at least 1.

    Returns
    -------
    list of float
        Increasing, within the axis.
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    ends = low * (1 - _TOLERANCE), high * (1 + _TOLERANCE)
    for digits, decades in _log_steps():
        start = math.ceil(first / decades) * decades
        exponents = range(start, last + 1, decades)
        found = [_decimal(digit, exponent) for exponent in exponents for digit in digits]
        found = [value for value in found if ends[0] <= value <= ends[1]]
        if len(found) <= most:
            # A short axis has too few of them, such as only 200 between 110 and 490.
            few = len(found) < 3 and high < _SHORT * low
            return linear_ticks(low, high, most) if few else found
    raise AssertionError("steps grow without end")


def _multiples(
    low: float, high: float, most: int, least_step: float, *, outer: bool
) -> list[float]:
    down, up = (math.floor, math.ceil) if outer else (math.ceil, math.floor)
    moved = _TOLERANCE if outer else -_TOLERANCE
    for digit, exponent in _steps((high - low) / (most + 1)):
        step = _decimal(digit, exponent)
        first, last = down(low / step + moved), up(high / step - moved)
        if last - first < most and step >= least_step:
            return [_decimal(number * digit, exponent) for number in range(first, last + 1)]
    raise AssertionError("steps grow without end")


def _steps(least: float) -> Iterator[tuple[int, int]]:
    """Yield steps as digit and exponent, from about `least` on."""
    exponent = math.floor(math.log10(least))
    while True:
        yield from ((digit, exponent) for digit in _STEPS)
        exponent += 1


def _log_steps() -> Iterator[tuple[tuple[int, ...], int]]:
    yield from ((digits, 1) for digits in _DIGITS)
    decades = 2
    while True:
        yield (1,), decades
        decades += 1


def _decimal(digits: int, exponent: int) -> float:
    return float(f"{digits}e{exponent}")  # the nearest number, so that three times 0.1 is 0.3

"""Ticks as text: short, and all of an axis with the same unit and decimals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from mfcli.pages.number_texts import fixed, power, scientific

_UNITS = ((1e9, "B"), (1e6, "M"))  # billions and millions
_MOST_DECIMALS = 15


def linear_texts(values: Sequence[float], *, percent: bool = False) -> list[str]:
    """Name the ticks of a linear axis.

    Parameters
    ----------
    values : sequence of float, shape (n,)
        Ticks at equal distances.
    percent : bool
        Whether they are fractions, named as percentages.

    Returns
    -------
    list of str
        Distinct texts, such as "0.5M" and "1.0M".
    """
    if percent:
        return [f"{text}%" for text in linear_texts([100 * value for value in values])]
    largest = max(map(abs, values), default=0.0)
    if not largest:
        return ["0" for _ in values]
    step = min((b - a for a, b in pairwise(values)), default=largest)
    if largest >= 1e15 or largest < 1e-4:
        return _scientific(values, step, math.floor(math.log10(largest)))
    for unit, sign in _UNITS:
        decimals = _decimals([value / unit for value in values], step / unit)
        if largest >= unit and decimals <= 2:
            return [fixed(v / unit, decimals) + sign if v else "0" for v in values]
    decimals = _decimals(values, step)
    return [fixed(value, decimals) for value in values]


def log_text(value: float, *, percent: bool = False) -> str:
    """Name a tick of a logarithmic axis, such as "0.01", "500", "2M" or "10⁻⁶"."""
    if percent:
        return f"{log_text(100 * value)}%"
    if 1e-4 <= value < 1e12:
        size, sign = next(((u, s) for u, s in _UNITS if value >= u), (1.0, ""))
        return f"{value / size:,.15g}{sign}"
    text = scientific(value, 14)
    return text.removeprefix("1\u00d7")


def _decimals(values: Sequence[float], step: float) -> int:
    """Return how many decimals tell the values apart."""
    for decimals in range(_MOST_DECIMALS):
        if all(abs(round(value, decimals) - value) <= step / 1000 for value in values):
            return decimals
    return _MOST_DECIMALS


def _scientific(values: Sequence[float], step: float, exponent: int) -> list[str]:
    # Divided by texts, because the power of ten itself may be too small or large for a number.
    parts = [
        float(f"{value:.17e}".partition("e")[0]) * 10.0 ** (_exponent(value) - exponent)
        for value in values
    ]
    decimals = _decimals(parts, min((b - a for a, b in pairwise(parts)), default=1.0))
    return [f"{fixed(p, decimals)}\u00d7{power(exponent)}" if p else "0" for p in parts]


def _exponent(value: float) -> int:
    return int(f"{value:.17e}".partition("e")[2])

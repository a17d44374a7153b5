"""Numbers, times, sizes and outside text as text to print."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any
from unicodedata import category

LEVELS = "▁▂▃▄▅▆▇█"
PLAIN_LEVELS = "_.-:=+*#"
"""Characters of increasing height or weight, to draw with; the latter are ASCII."""


def duration(seconds: float) -> str:
    """Format a time span, such as "5 min 03 s"."""
    whole = round(seconds)  # before it is divided, so that 59.9 s is not "0 min 60 s"
    if whole < 60:
        return f"{seconds:.3g} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def time_left(seconds: float) -> str:
    """Format an estimate of the time left, such as "5 min left"."""
    if seconds < 99:
        return f"{max(1, round(seconds))} s left"
    if seconds < 5940:
        return f"{round(seconds / 60)} min left"
    return f"{round(seconds / 3600)} h left"


def count(number: int, noun: str) -> str:
    """Format a count, such as "1 user" or "2,000 users"."""
    return f"{number:,} {noun}{'s' if number != 1 else ''}"


def size(count: int) -> str:
    """Format a number of bytes."""
    return f"{count / 1e6:,.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"


def scale(low: float, high: float, step: float | None) -> str:
    """Format a rating scale."""
    return f"{low:g} to {high:g}" + (f", step {step:g}" if step else "")


def digits(value: float) -> str:
    """Format a number with four decimals, or with four digits if it is very small or large."""
    return f"{value:.4f}" if value == 0 or 0.01 <= abs(value) < 1e6 else f"{value:.4g}"


def words(values: Mapping[str, Any]) -> str:
    """List names and values in one line."""
    return ", ".join(f"{name} {value}" for name, value in values.items())


def listed(names: Sequence[object], most: int = 3) -> str:
    """List names, such as "a, b and 4 others"."""
    shown = [str(name) for name in names]
    if len(shown) > most:
        shown[most:] = [count(len(shown) - most, "other")]
    *first, last = shown
    return f"{', '.join(first)} and {last}" if first else last


def printable(text: str) -> str:
    """Escape characters that would control the terminal."""
    # Spaces of other scripts (Zs) are not printable for Python, but harmless and part of names.
    return "".join(c if c.isprintable() or category(c) == "Zs" else repr(c)[1:-1] for c in text)


def sparkline(values: Sequence[float], width: int, levels: str = LEVELS) -> str:
    """Draw values as columns of different heights; several values share a column by their mean.

    Parameters
    ----------
    values : sequence of float
    width : int
        Columns, at most.
    levels : str
        Characters from the lowest to the highest.
    """
    columns = min(len(values), width)
    # Column c has the values from n c / columns up to n (c + 1) / columns: never empty.
    ends = [len(values) * column // columns for column in range(columns + 1)]
    means = [math.fsum(values[a:b]) / (b - a) for a, b in pairwise(ends)]
    least, range_ = min(means), (max(means) - min(means)) or 1  # a constant curve is a flat line
    return "".join(levels[round((mean - least) / range_ * 7)] for mean in means)

"""Fewer points of long lines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

MOST = 400
"""Points of a line; more cannot be told apart."""

_LEAST_RANGES = 40


def kept(places: Sequence[float], columns: Sequence[Sequence[float]]) -> list[int]:
    """Choose the points of lines that share an axis, so that their course and extremes stay.

    The axis is divided into ranges. The lowest and the highest value of each column in each range
    stay, and one gap; so do the first and the last point.

    Parameters
    ----------
    places : sequence of float, shape (n,)
        Places on the axis, from 0 to 1; NaN if a point cannot be drawn.
    columns : sequence of sequence of float, shape (m, n)
        Values; NaN is a gap.

    Returns
    -------
    list of int
        Increasing. All points, if there are at most `MOST`. Otherwise at most `MOST` if there are
        up to 4 columns, and a few more for each further one.
    """
    count = len(places)
    if count <= MOST:
        return list(range(count))
    ranges = max(_LEAST_RANGES, (MOST - 2) // (2 * len(columns) + 1) - 1)
    sorted_ = all(left <= right for left, right in pairwise(places))
    groups: dict[int, list[int]] = {}
    for index, place in enumerate(places):
        # Points that go back and forth are divided by their number.
        where = place if sorted_ else index / count
        groups.setdefault(min(int(where * ranges), ranges - 1), []).append(index)
    found = {0, count - 1}
    for group in groups.values():
        found |= _extremes(group, columns)
    return sorted(found)


def _extremes(group: Sequence[int], columns: Sequence[Sequence[float]]) -> set[int]:
    found: set[int] = set()
    for values in columns:
        drawn = [index for index in group if not math.isnan(values[index])]
        if drawn:
            found |= {min(drawn, key=values.__getitem__), max(drawn, key=values.__getitem__)}
        if len(drawn) < len(group):
            gaps = (index for index in group if math.isnan(values[index]))
            found.add(next(gaps))
    return found

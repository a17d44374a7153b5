"""Compiled kernel that finds the items with the highest bounds of expected ratings."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from mfcli.aligned import LINE, aligned
from mfcli.model.top_n import GROUP, HEIGHT, TILES, insert, mark
from mfcli.storage import array_type, inlined, kernel
from mfcli.types import Floats
from mfcli.vectors import any_at_least, pointer, set_products, zeros

_TILE = HEIGHT * LINE
_MEAN, _SAMPLE, _FIRST, _SUM, _SQUARES = range(5)  # tiles of scratch

_ROWS = array_type(types.int32, 1, readonly=True)
_MATRIX = array_type(types.float32, 2, readonly=True)
_CUBE = array_type(types.float32, 3, readonly=True)


@kernel(_MATRIX, _CUBE, array_type(types.float32, 1, readonly=True), _MATRIX, _ROWS,
        _CUBE, array_type(types.float32, 4, readonly=True), _CUBE, _ROWS, types.float64,
        array_type(types.int64, 1, readonly=True), _ROWS, array_type(types.float32, 1),
        array_type(types.uint32, 1), array_type(types.int32, 2),
        array_type(types.float32, 2))  # fmt: skip
def select_bounds(
    factors: Any, samples: Any, mu: Any, weights: Any, queries: Any, means: Any, panels: Any,
    variances: Any, rows: Any, deviations: Any, starts: Any, rated: Any, scratch: Any, marks: Any,
    items: Any, best: Any,
) -> None:  # fmt: skip
    """Find the n items with the highest bounds for each query.

    A score is computed in the same way whatever the other queries and items are.

    Parameters
    ----------
    factors : float32 array, shape (n_users, k)
    samples : float32 array, shape (n_users, d, S)
        Biases and factors of each sample.
    mu : float32 array, shape (S,)
        Of each sample, minus any constant.
    weights : float32 array, shape (n_users + 1, 2)
        Of `variances`.
    queries : int32 array, shape (b,)
        Rows of the users; -1 for an unknown user.
    means, panels, variances, rows
        As in `BoundPanels`.
    deviations : float
        The number of standard deviations that is added.
    starts, rated, marks, items, best
        As for `select_best`.
    scratch : float32 array
        As `bound_scratch` returns it.
    """
    like = zeros(LINE)
    last, size = items.shape[1] - 1, panels.shape[1]
    width, depth = means.shape[1], panels.shape[2]
    left, of_means, of_samples = pointer(scratch), pointer(means), pointer(panels)
    own = GROUP * width  # where the samples of the queries begin
    tiles = (GROUP * (width + size * depth) + LINE - 1) // LINE * LINE
    for first in range(0, len(queries) if last >= 0 else 0, GROUP):
        count = min(GROUP, len(queries) - first)
        _gather(factors, samples, mu, queries, first, count, scratch)
        mark(queries, first, count, starts, rated, marks, True)
        for panel in range(len(means)):
            for tile in range(TILES):
                end = min((tile + 1) * HEIGHT, count)
                if tile * HEIGHT >= end:
                    continue
                set_products(
                    left, tiles + _MEAN * _TILE, LINE, left, tile * width * HEIGHT, 1, HEIGHT,
                    of_means, panel * width * LINE, LINE, width, HEIGHT, like,
                )  # fmt: skip
                for s in range(size):
                    set_products(
                        left, tiles + _SAMPLE * _TILE, LINE,
                        left, own + (tile * size + s) * depth * HEIGHT, 1, HEIGHT,
                        of_samples, (panel * size + s) * depth * LINE, LINE, depth, HEIGHT, like,
                    )  # fmt: skip
                    _add(scratch[tiles:], s)
                for query in range(tile * HEIGHT, end):
                    at = (query - tile * HEIGHT) * LINE
                    weight = weights[queries[first + query]]
                    _set_bounds(scratch[tiles:], at, size, weight, variances[panel], deviations)
                    kept, found = best[first + query], items[first + query]
                    if any_at_least(left, tiles + at, like, kept[last]):
                        for lane in range(LINE):
                            row = rows[panel * LINE + lane]
                            if row >= 0 and not (marks[row] >> query) & 1:
                                insert(scratch[tiles + at + lane], row, kept, found)
        mark(queries, first, count, starts, rated, marks, False)


@inlined
def _gather(
    factors: Any, samples: Any, mu: Any, queries: Any, first: Any, count: Any, scratch: Any
) -> None:
    """Copy the rows of a group, transposed within each tile."""
    k, (d, size) = factors.shape[1], samples.shape[1:]
    own = GROUP * (k + 1)
    for place in range(GROUP):
        query = queries[first + min(place, count - 1)]  # a tile is filled with the last one
        tile, row = place // HEIGHT, place % HEIGHT
        at = tile * (k + 1) * HEIGHT + row
        for f in range(k):
            scratch[at + f * HEIGHT] = factors[query, f] if query >= 0 else np.float32(0)
        scratch[at + k * HEIGHT] = 1  # for the bias
        for s in range(size):
            at = own + (tile * size + s) * (d + 1) * HEIGHT + row
            for f in range(d):
                value = samples[query, f, s] if query >= 0 else np.float32(0)
                scratch[at + f * HEIGHT] = value + (mu[s] if f == 0 else np.float32(0))
            scratch[at + d * HEIGHT] = 1


@inlined
def _add(tiles: Any, s: Any) -> None:
    """Add the scores of sample s to the sums and sums of squares, as differences from sample 0."""
    for n in range(_TILE):
        if s == 0:
            tiles[_FIRST * _TILE + n] = tiles[_SAMPLE * _TILE + n]
            tiles[_SUM * _TILE + n] = 0
            tiles[_SQUARES * _TILE + n] = 0
        else:
            # Without the large common part, squares of float32 are exact enough.
            value = tiles[_SAMPLE * _TILE + n] - tiles[_FIRST * _TILE + n]
            tiles[_SUM * _TILE + n] += value
            tiles[_SQUARES * _TILE + n] += value * value


@inlined
def _set_bounds(
    tiles: Any, at: Any, size: Any, weight: Any, variances: Any, deviations: Any
) -> None:
    """Replace the means of a query and a panel by bounds."""
    for lane in range(LINE):
        n = at + lane
        total = tiles[_SUM * _TILE + n]
        spread = tiles[_SQUARES * _TILE + n] - total * total / np.float32(size)
        variance = max(spread, np.float32(0)) / np.float32(size - 1)
        variance += weight[0] * variances[0, lane] + weight[1] * variances[1, lane]
        tiles[n] += np.float32(deviations) * np.sqrt(variance)


def bound_scratch(means: Floats, panels: Floats) -> Floats:
    """Return scratch for `select_bounds`: the transposed queries of a group, and five tiles."""
    values = GROUP * (means.shape[1] + panels.shape[1] * panels.shape[2])
    return aligned((-(-values // LINE) * LINE + 5 * _TILE,))

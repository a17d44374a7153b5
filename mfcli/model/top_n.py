"""Compiled kernels that find the first n of scores or of an order."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from mfcli.aligned import LINE, aligned
from mfcli.storage import array_type, inlined, kernel
from mfcli.vectors import any_at_least, pointer, set_products, zeros

HEIGHT = 6  # queries of a tile: with two registers each, they leave room for the rows
TILES = 5  # tiles that are scored with a panel while it is in the cache
GROUP = HEIGHT * TILES
"""Queries that are ranked together; a mark has a bit for each of them."""

_READ_ROWS = array_type(types.int32, 1, readonly=True)
_READ_STARTS = array_type(types.int64, 1, readonly=True)
_RANKS = array_type(types.int32, 2)
_SCORES = array_type(types.float32, 2)


@kernel(array_type(types.float32, 2, readonly=True), _READ_ROWS, types.float64,
        array_type(types.float32, 3, readonly=True), _READ_ROWS,
        array_type(types.float64, 2, readonly=True), _READ_STARTS, _READ_ROWS,
        array_type(types.float32, 1), array_type(types.uint32, 1), _RANKS, _SCORES)  # fmt: skip
def select_best(
    factors: Any, queries: Any, usual: Any, panels: Any, rows: Any, bounds: Any, starts: Any,
    rated: Any, scratch: Any, marks: Any, items: Any, best: Any,
) -> None:  # fmt: skip
    """Find the n highest scores of each query, by insertion into a sorted list of n.

    A group of queries is scored with one panel of rows after another, until no further score can be
    among the n highest. A score is a sum over the factors in their order, then the bias.

    Parameters
    ----------
    factors : float32 array, shape (n_queries, k)
    queries : int32 array, shape (b,)
        Rows of `factors`; -1 for a row of zeros.
    usual, panels, rows, bounds
        As in `Panels`.
    starts, rated : int64 and int32 arrays
        The rows that are not selected, as in `first_unrated`.
    scratch : float32 array
        As `scratch_for` returns it.
    marks : uint32 array, shape (n_rows,)
        Scratch, filled with zeros; so again at the end.
    items : int32 array, shape (b, n)
        Filled with -1; set to the rows with the highest scores, best first; of equal scores, the
        lower row first. NaN and -infinity are never selected.
    best : float32 array, shape (b, n)
        Filled with -infinity; set to the scores.
    """
    like = zeros(LINE)
    width, last = panels.shape[1], items.shape[1] - 1
    left, right, size = pointer(scratch), pointer(panels), width * HEIGHT
    scores = -(-size * TILES // LINE) * LINE  # the scores of a tile begin with a cache line
    lengths, active = np.empty(GROUP, np.float64), np.empty(TILES, np.int64)
    for first in range(0, len(queries) if last >= 0 else 0, GROUP):
        count = min(GROUP, len(queries) - first)
        _gather(factors, queries, first, count, scratch, lengths)
        mark(queries, first, count, starts, rated, marks, True)
        for tile in range(TILES):
            active[tile] = tile * HEIGHT
        unfinished = 1
        for panel in range(len(panels)):
            if not unfinished:
                break
            unfinished = 0
            for tile in range(TILES):
                end, at = min((tile + 1) * HEIGHT, count), active[tile]
                # Queries before this one are finished: the bound of a panel never rises again.
                while at < end and _is_beyond(
                    bounds, panel, lengths[at] - usual, best[first + at, last]
                ):
                    at += 1
                active[tile] = at
                if at >= end:
                    continue
                unfinished += 1
                set_products(
                    left, scores, LINE, left, tile * size, 1, HEIGHT, right,
                    panel * width * LINE, LINE, width, HEIGHT, like,
                )  # fmt: skip
                for query in range(at, end):
                    place = scores + (query - tile * HEIGHT) * LINE
                    kept, found = best[first + query], items[first + query]
                    if any_at_least(left, place, like, kept[last]):
                        for lane in range(LINE):
                            row = rows[panel * LINE + lane]
                            if row >= 0 and not (marks[row] >> query) & 1:
                                insert(scratch[place + lane], row, kept, found)
        mark(queries, first, count, starts, rated, marks, False)


@inlined
def _gather(factors: Any, queries: Any, first: Any, count: Any, scratch: Any, lengths: Any) -> None:
    """Copy the rows of a group, transposed within each tile, and compute their lengths."""
    width = factors.shape[1] + 1
    for place in range(GROUP):
        query = queries[first + min(place, count - 1)]  # a tile is filled with the last one
        at = place // HEIGHT * HEIGHT * width + place % HEIGHT
        squares = 0.0
        for n in range(width - 1):
            value = factors[query, n] if query >= 0 else np.float32(0)
            scratch[at + n * HEIGHT] = value
            squares += np.float64(value) * np.float64(value)
        scratch[at + (width - 1) * HEIGHT] = 1  # for the bias
        lengths[place] = np.sqrt(squares)


@inlined
def mark(
    queries: Any, first: Any, count: Any, starts: Any, rated: Any, marks: Any, set_bits: Any
) -> None:
    """Set the bit of each query of a group in the marks of the rows it has rated, or clear all."""
    for place in range(count):
        query = queries[first + place]
        bit = np.uint32(1 << place) if set_bits else np.uint32(0)
        for at in range(starts[query], starts[query + 1]):
            marks[rated[at]] = (marks[rated[at]] | bit) if set_bits else bit


@inlined
def _is_beyond(bounds: Any, panel: Any, excess: Any, lowest: Any) -> Any:
    """Whether no score from a panel on is among the best of a query, whose length exceeds c."""
    length = bounds[panel, 1] if excess > 0 else bounds[panel, 2]
    # An infinite score is a tie with any other one that overflows.
    return bounds[panel, 0] + excess * length < lowest < np.inf


@inlined
def insert(score: Any, row: Any, best: Any, items: Any) -> None:
    """Insert a score into a sorted list if it is among the highest."""
    place = len(best)
    # Move lower scores down by one until the place of this score is free.
    while place > 0 and (
        score > best[place - 1] or (score == best[place - 1] and row < items[place - 1])
    ):
        place -= 1
        if place + 1 < len(best):
            best[place + 1], items[place + 1] = best[place], items[place]
    if place < len(best):
        best[place], items[place] = score, row


def scratch_for(panels: Any) -> Any:
    """Return scratch for `select_best`: the transposed queries of a group, and a tile."""
    width = panels.shape[1]
    return aligned(((-(-width * GROUP // LINE) + HEIGHT) * LINE,))


@kernel(_READ_ROWS, _READ_STARTS, _READ_ROWS, _READ_ROWS,
        array_type(types.int32, 1), _RANKS)  # fmt: skip
def first_unrated(order: Any, starts: Any, rated: Any, users: Any, seen: Any, items: Any) -> None:
    """Find the first n items of an order that each user has not rated.

    Parameters
    ----------
    order : int32 array
    starts, rated : int64 and int32 arrays
        User u has rated ``rated[starts[u]:starts[u + 1]]``. For the user -1, this is the empty
        range from the last start to the first, 0.
    users : int32 array, shape (b,)
    seen : int32 array, shape (n_items,)
        Scratch, filled with -1.
    items : int32 array, shape (b, n)
        Filled with -1; set to the items.
    """
    for place in range(len(users)):
        user = users[place]
        # A mark is the place of the user, so the scratch array never has to be cleared.
        for at in range(starts[user], starts[user + 1]):
            seen[rated[at]] = place
        count = 0
        for item in order:
            if count == items.shape[1]:
                break
            if seen[item] != place:
                items[place, count] = item
                count += 1

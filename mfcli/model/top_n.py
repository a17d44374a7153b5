"""Compiled kernels that find the first n of scores or of an order."""

from __future__ import annotations

from typing import Any

from numba import types

from mfcli.storage import array_type, kernel

_READ_ROWS = array_type(types.int32, 1, readonly=True)
_RANKS = array_type(types.int32, 2)
_SCORES = array_type(types.float32, 2)


@kernel(_SCORES, _RANKS, _SCORES)
def select_top(scores: Any, items: Any, best: Any) -> None:
    """Find the n highest scores of each row, by insertion into a sorted list of n.

    Parameters
    ----------
    scores : float32 array, shape (b, n_items)
    items : int32 array, shape (b, n)
        Set to the columns of the highest scores, best first; of equal scores, the lower column
        first. -infinity is never selected and leaves the initial value.
    best : float32 array, shape (b, n)
        Filled with -infinity; set to the scores.
    """
    # Insertion suits a small n: of N random scores, about n (1 + log(N / n)) are ever inserted.
    n = items.shape[1]
    for row in range(scores.shape[0]):
        for item in range(scores.shape[1]):
            score = scores[row, item]
            if n == 0 or not score > best[row, n - 1]:  # most scores: one comparison
                continue
            # Move lower scores down by one until the place of this score is free.
            place = n - 1
            while place > 0 and score > best[row, place - 1]:
                best[row, place], items[row, place] = best[row, place - 1], items[row, place - 1]
                place -= 1
            best[row, place], items[row, place] = score, item


@kernel(_READ_ROWS, array_type(types.int64, 1, readonly=True), _READ_ROWS, _READ_ROWS,
        array_type(types.int32, 1), _RANKS)  # fmt: skip
def first_unrated(order: Any, starts: Any, rated: Any, users: Any, seen: Any, items: Any) -> None:
    """Find the first n items of an order that each user has not rated.

    Parameters
    ----------
    order : int32 array, shape (n_items,)
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

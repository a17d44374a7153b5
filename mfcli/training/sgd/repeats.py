"""The kernel for momentum 0 without a penalty on whole tables: rows consist of weights only.

Idle rows do not move, so a rating may change a row at once if no other rating of the batch needs
the weights before the step. Most rows are in this case: they occur once in a batch. For the others,
the repeated rows, the changes of a batch are added up in a slot, a vector apart from the row, which
is added to the row at the end of the batch. Both are the same sums as the pending velocities of
`kernels.py`, in the same order::

    w' = w + (g_1 + ... + g_n),        g = -2 lr (c e other + reg w) / B

Before a batch, each of its rows gets a state, `ONCE` or the number of its slot, in place of the
constant one. A row that is stored gets its one back. Slot 0 is always zero. With
``w' = x + (y + g)``, a row that occurs once has ``x = w`` and ``y = 0``, and a slot has ``x = 0``
and y is its sum so far. So there is one code for both, without a branch that the processor could
not predict.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mfcli.aligned import LINE, aligned
from mfcli.storage import inlined
from mfcli.training.sgd.places import factor_of, lookahead, places, prefetch_rows, value_of
from mfcli.training.sgd.rows import ITEM_ONE, NOWHERE, USER_ONE, Variant
from mfcli.types import Floats
from mfcli.vectors import (
    add,
    fma,
    load,
    load_int,
    mul,
    pointer,
    replace,
    store,
    store_int,
    total,
)

ONCE = -1  # the state of a row that occurs once in the batch; positive states are slots
_ABSENT = int(np.float32(1.0).view(np.int32))  # the bits of the constant one: not in the batch
_FAR = 256  # no more ratings ahead are prefetched than fit in the cache


class Repeats(NamedTuple):
    """Where the changes of repeated rows are added up; empty if rows have velocities.

    Attributes
    ----------
    rows : int32 array, shape (slots + 1,)
        The row of each slot.
    sums : float32 array, shape (slots, width)
        Between two batches, all are zero.
    """

    rows: NDArray[np.int32]
    sums: Floats


def make_repeats(variant: Variant, users: int, items: int, batch: int) -> Repeats:
    """Make the slots of one thread, for batches of up to `batch` ratings."""
    slots = 0 if variant.velocity else slot_count(users, items, batch)
    return Repeats(np.zeros(slots + 1, np.int32), aligned((slots, variant.width)))


def slot_count(users: int, items: int, batch: int) -> int:
    """Return how many slots a batch may need, with that of zeros."""
    # A repeated row takes at least two of the ratings.
    return 1 + min(users, batch // 2) + min(items, batch // 2)


@inlined
def repeats_batch(
    data: Any, part: Any, users: Any, items: Any, repeats: Any, scale: Any, mu: Any,
    user_regs: Any, item_regs: Any, none: Any, variant: Any,
) -> Any:  # fmt: skip
    """Learn from the records of a batch; return the sums of squared errors and the penalty.

    The second sum is weighted. `part` holds the first record, the end of the batch and the end of
    the block.
    """
    start, stop, end = part
    slots, sums, ahead = pointer(repeats.rows), pointer(repeats.sums), lookahead(variant.stride)
    far = min(stop - start, _FAR) + ahead
    middle = _find_repeats(data, start, stop, 0, users, USER_ONE, slots, 1, variant)
    free = _find_repeats(data, start, stop, 1, items, ITEM_ONE, slots, middle, variant)
    squares, weighted, change = 0.0, 0.0, none
    for at in range(start, stop):
        # Near the end, the last record is prefetched again, so that no read is out of bounds. The
        # states, in the first lines, are needed before the next batch.
        prefetch_rows(data, min(at + far, end - 1), users, items, 0, LINE, variant)
        prefetch_rows(data, min(at + ahead, end - 1), users, items, LINE, variant.stride, variant)
        error, change = _learn(
            data, at, users, items, sums, scale, mu, user_regs, item_regs, change, none, variant
        )
        squares += error * error
        weighted += factor_of(data, at, variant) * (error * error)
    _add_sums(1, middle, slots, users, USER_ONE, sums, none, variant)
    _add_sums(middle, free, slots, items, ITEM_ONE, sums, none, variant)
    return squares, weighted, change


@inlined
def _find_repeats(
    data: Any, start: Any, stop: Any, side: Any, rows: Any, one: Any, slots: Any,
    slot: Any, variant: Any,
) -> Any:  # fmt: skip
    """Set the states of the rows of one side; number slots from `slot`, and return the next one."""
    for at in range(start, stop):
        first = places(data, at, variant)[side]
        place = first + one
        state = load_int(rows, place)
        store_int(
            slots, slot, np.int32(place // variant.stride)
        )  # the next row overwrites it if this one gets no slot
        new = np.int32(slot) if state == ONCE else state
        store_int(rows, place, np.int32(ONCE) if state == _ABSENT else new)
        slot += state == ONCE
    return slot


@inlined
def _learn(
    data: Any, at: Any, users: Any, items: Any, sums: Any, scale: Any, mu: Any, user_regs: Any,
    item_regs: Any, change: Any, none: Any, variant: Any,
) -> Any:  # fmt: skip
    """Learn from one record; return its error and the penalty of the ratings so far."""
    user, item = places(data, at, variant)
    lanes, width = variant.lanes, variant.width
    wu, wi = _weights(users, user, USER_ONE, none), _weights(items, item, ITEM_ONE, none)
    products = fma(wu, wi, none)
    for i in range(lanes, width, lanes):
        products = fma(load(users, user + i, none), load(items, item + i, none), products)
    # e = mu + b_u + b_i + p_u . q_i - r: the lanes of ones add the biases to the product
    error = total(products) + (mu - value_of(data, at, variant))
    # -2 lr c e / B and -2 lr / B: a weight multiplies the error, not the penalty
    rates = scale * error * factor_of(data, at, variant), scale
    user_slot = max(load_int(users, user + USER_ONE), np.int32(0))
    item_slot = max(load_int(items, item + ITEM_ONE), np.int32(0))
    user_move = _move(users, user, user_slot, sums, width)
    item_move = _move(items, item, item_slot, sums, width)
    ru, ri = load(user_regs, 0, none), load(item_regs, 0, none)
    change = _change(user_move, 0, USER_ONE, wu, wi, ru, rates, change, variant)
    change = _change(item_move, 0, ITEM_ONE, wi, wu, ri, rates, change, variant)
    for i in range(lanes, width, lanes):
        wu, wi = load(users, user + i, none), load(items, item + i, none)
        ru, ri = load(user_regs, i, none), load(item_regs, i, none)
        change = _change(user_move, i, NOWHERE, wu, wi, ru, rates, change, variant)
        change = _change(item_move, i, NOWHERE, wi, wu, ri, rates, change, variant)
    return np.float64(error), change


@inlined
def _weights(rows: Any, place: Any, one: Any, none: Any) -> Any:
    """Return the vector of a row with the constant one, in whose place the state may be."""
    return replace(load(rows, place, none), one, 1.0)


@inlined
def _move(rows: Any, place: Any, slot: Any, sums: Any, width: Any) -> Any:
    """Return where x, y and ``x + y + g`` are: in the row and slot 0, or in slot 0 and a slot."""
    at = np.intp(slot) * width
    once = slot == 0
    return rows if once else sums, place if once else 0, sums, at, place if once else at


@inlined
def _change(
    move: Any, i: Any, one: Any, w: Any, other: Any, regs: Any, rates: Any, change: Any,
    variant: Any,
) -> Any:  # fmt: skip
    """Add a gradient to a vector of a row or of its slot; return the penalty so far."""
    base, x_at, sums, y_at, to = move
    factor, scale = rates
    moved = fma(factor, other, load(sums, y_at + i, w))  # y - 2 lr c e / B other
    if variant.rating_reg:
        part = mul(regs, w)
        moved = fma(scale, part, moved)  # -2 lr reg w / B
        change = fma(part, w, change)  # reg w^2
    store(base, to + i, replace(add(load(base, x_at + i, w), moved), one, 1.0))
    return change


@inlined
def _add_sums(
    first: Any, last: Any, slots: Any, rows: Any, one: Any, sums: Any, none: Any, variant: Any
) -> None:
    """Add the slots ``first`` to ``last - 1`` to their rows, and clear them."""
    for slot in range(first, last):
        place = np.intp(load_int(slots, slot)) * variant.stride
        at = slot * variant.width
        for i in range(0, variant.width, variant.lanes):
            moved = add(_weights(rows, place + i, one - i, none), load(sums, at + i, none))
            store(rows, place + i, replace(moved, one - i, 1.0))
            store(sums, at + i, none)

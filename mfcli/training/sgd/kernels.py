"""Compiled kernels of SGD with momentum on a biased matrix factorization.

The model is ``mu + b_u + b_i + p_u . q_i``. A step takes the gradient g of the mean squared error
of a batch, plus `reg` times the sum of all squared weights. It moves every weight w, with velocity
v, learning rate lr and momentum b::

    v' = b v - lr g,      w' = w + v'               (plain)
                          w' = w + b v' - lr g      (Nesterov)

This is the update of Keras. Most rows have no rating in a batch. Such an idle row moves by a fixed
linear map. It is left as it is until a batch needs it, and then multiplied by a power of that map
(`powers.py`). Each row remembers up to which step it is current. The cost of a step is therefore
proportional to the size of the batch, not to the size of the tables.

Pending velocity
----------------
Let ``a = 2 lr reg``. The velocity of the next step is ``v_{t+1} = b v_t - a w_t - lr g_t``, where
g_t is the gradient of the error alone. A row is stored as ``(w, s)``, where s is this velocity as
far as it is known: ``b v_t - a w_t``, plus the terms of the ratings of batch t seen so far. The
weights of step t do not change until a later step needs the row. So one pass over a batch is
enough, all errors of a batch are computed from the weights before the step, and a batch may contain
a row several times.

With plain momentum, one idle step is ``w' = w + s``, ``s' = b s - a w'``. With Nesterov momentum,
let ``x = w - b v``. Then ``x' = x + s`` as before, while ``w' = x' + b s`` and ``s' = b s - a w'``,
hence ``w' = (x' + s') / (1 - a)``. With ``x = w`` and ``d = 1`` for plain momentum, and
``d = 1 + b`` for Nesterov momentum, both are::

    (x', s') = C (x, s),        C = [[1, 1], [-a, b - a d]],        w' = x + d s

A rating with error e and weight c in a batch of B adds ``-2 lr c e / B`` times the other side's
weights to s; c is 1 unless ratings have weights. Like Keras with `sample_weight`, a step divides by
the number of its ratings, not by the sum of their weights.

With momentum 0 and no penalty on whole tables, idle rows do not move. Long rows then have no
velocity, and `repeats.py` has the kernel.

Penalty per rating
------------------
A penalty per rating, instead of one on whole tables, leaves idle rows alone. Each rating adds
``reg w^2 / B`` to the loss for the rows that it updates, and so ``-2 lr reg w / B`` to their s,
whatever its weight.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import types

from mfcli.aligned import LINE
from mfcli.storage import array_type, compiled, inlined, tuple_type
from mfcli.training.sgd.blocks import Batches
from mfcli.training.sgd.claims import CLAIMS, NONE, next_block
from mfcli.training.sgd.exact_sums import added
from mfcli.training.sgd.generators import POOL
from mfcli.training.sgd.packed_ratings import PACKED, slot_of
from mfcli.training.sgd.places import factor_of, lookahead, places, prefetch_rows, value_of
from mfcli.training.sgd.powers import Powers, power
from mfcli.training.sgd.repeats import Repeats, repeats_batch
from mfcli.training.sgd.rows import ITEM_ONE, NOWHERE, USER_ONE, Variant
from mfcli.training.sgd.shuffle import firsts_of, shuffle_block
from mfcli.vectors import (
    add,
    advanced,
    choose,
    float_of_bits,
    fma,
    load,
    load_int,
    load_shared,
    mul,
    pointer,
    prefetch,
    replace,
    store,
    total,
    zeros,
)

_INT = types.intp
_ROWS = array_type(types.float32, 3)
_TABLE = array_type(types.float32, 2)
_STEPS = array_type(types.int32, 1)
_NUMBERS = array_type(types.int32, 1, readonly=True)
_BOUNDS = array_type(types.int64, 1)
_DOUBLES = array_type(types.float64, 1)
_LOSSES = array_type(types.float64, 2)
_REPEATS = tuple_type(Repeats, _STEPS, _TABLE)
_POWERS = tuple_type(Powers, _TABLE, _TABLE, _INT, types.float32)


class Kernels(NamedTuple):
    """Compiled functions for one variant of rows. All release the interpreter's lock.

    Row numbers are not checked, and rows are read as aligned vectors: they must be what `pack`
    returned. Threads that share `claims` may run `train` at the same time.

    Attributes
    ----------
    train : callable
        ``(packed, batches, claims, worker, words, out, user_rows, item_rows, powers, slopes, rates,
        mu, regs, repeats, losses)``: train as thread number `worker` on one block of `batches`
        after another, until no block is ready. The random order of a block depends on `words` (see
        `generators.py`) and its number. The batch of step t has the learning rate ``rates[t]``
        (float64). If tables have a penalty, all rates must be the one that `powers` and `slopes`
        were made for. Each thread needs its own `out`, a `buffer_of` the longest block, and its own
        `repeats`. Rows are updated in place. ``losses[block]`` (float64, shape (groups^2, 3)) is
        set to the sum of the squared errors before the steps of the block, to their weighted sum,
        and to the change of the penalty not yet multiplied by reg.
    finish_epoch : callable
        ``(rows, first, last, one, steps, powers)``: move the rows ``first`` to ``last - 1`` to the
        end of an epoch of `steps` steps, which is step zero of the next epoch.
    squared_errors : callable
        ``(user, item, rating, user_places, item_places, user_rows, item_rows, mu, scale, sums)``:
        add the squared errors of some ratings, times `scale` (float64), to ``sums[0]`` (see
        `exact_sums.py`). The places (int32) are those of users and items in the rows, of which
        those of items may lack planes.
    """

    train: Callable[..., None]
    finish_epoch: Callable[..., None]
    squared_errors: Callable[..., None]


@functools.cache
def kernels_for(variant: Variant) -> Kernels:
    """Compile the kernels for one variant of rows, or load them from the cache."""
    batches = tuple_type(Batches, _BOUNDS, _BOUNDS, _STEPS)
    train = compiled(
        _make_train(variant), PACKED, batches, CLAIMS, _INT, array_type(types.uint64, 1),
        array_type(types.uint8, 1), _ROWS, _ROWS, _POWERS, _TABLE, _DOUBLES, types.float32, _TABLE,
        _REPEATS, _LOSSES,
    )  # fmt: skip
    finish_epoch = compiled(_make_finish_epoch(variant), _ROWS, _INT, _INT, _INT, _INT, _POWERS)
    squared_errors = compiled(
        _make_squared_errors(variant), _NUMBERS, _NUMBERS,
        array_type(types.float32, 1, readonly=True), _STEPS, _STEPS, _ROWS, _ROWS, types.float32,
        types.float64, array_type(types.int64, 2),
    )  # fmt: skip
    return Kernels(train, finish_epoch, squared_errors)


# ---------------------------------------------------------------------------
# The kernels
#
# The flags and sizes in `variant` and `lanes` are constants of the compiled code.


def _make_train(variant: Variant) -> Callable[..., None]:
    lanes, velocity = variant.lanes, variant.velocity

    def train(
        packed: Any, batches: Any, claims: Any, worker: Any, words: Any, out: Any, user_rows: Any,
        item_rows: Any, powers: Any, slopes: Any, rates: Any, mu: Any, regs: Any, repeats: Any,
        losses: Any,
    ) -> None:  # fmt: skip
        user_regs, item_regs = pointer(regs[0]), pointer(regs[1])
        data, slot = (packed, out), slot_of(variant.wide, variant.weighted)
        none, pool = zeros(lanes), np.empty(POOL, np.uint64)
        block = next_block(claims, NONE)
        while block != NONE:
            first, last = batches.blocks[block], batches.blocks[block + 1]
            begin, end = batches.bounds[first], batches.bounds[last]
            shuffle_block(packed, block, end - begin, words, pool, out, slot)
            user, item = firsts_of(packed, block)
            users = advanced(pointer(user_rows), np.intp(user) * variant.stride)
            items = advanced(pointer(item_rows), np.intp(item) * variant.stride)
            of_block = (0.0, 0.0, 0.0)
            for batch in range(first, last):
                if load_shared(claims.stop, 0):
                    return
                step = batches.steps[batch]
                start, stop = batches.bounds[batch], batches.bounds[batch + 1]
                part = start - begin, stop - begin, end - begin
                scale = np.float32(-2.0 * rates[step] / (stop - start))  # -2 lr / B
                if velocity:
                    squares, weighted, change = _learn_batch(
                        data, part, users, items, powers, slopes, scale, mu, step, user_regs,
                        item_regs, none, variant,
                    )  # fmt: skip
                else:
                    squares, weighted, change = repeats_batch(
                        data, part, users, items, repeats, scale, mu, user_regs, item_regs, none,
                        variant,
                    )  # fmt: skip
                of_block = (
                    of_block[0] + squares,
                    of_block[1] + weighted,
                    of_block[2] + np.float64(total(change)),
                )
                claims.ratings[worker, 0] += stop - start
            # The caller adds up the blocks in order, so that the sum has the same bits for any
            # number of threads and machines.
            losses[block, 0], losses[block, 1], losses[block, 2] = of_block
            block = next_block(claims, block)

    return train


def _make_finish_epoch(variant: Variant) -> Callable[..., None]:
    lanes = variant.lanes

    def finish_epoch(rows: Any, first: Any, last: Any, one: Any, steps: Any, powers: Any) -> None:
        base, none = pointer(rows), zeros(lanes)
        for row in range(first, last):
            place = row * variant.stride
            # The state after the last step is the state at step number `steps`, before any batch.
            n = _idle_steps(base, place + variant.width + one, steps, powers)
            move = n, power(powers, n), powers.gain
            for i in range(0, variant.width, lanes):
                w, s, x = _current(base, place + i, one - i, move, none, variant)
                s = replace(s, one - i, float_of_bits(0))  # step zero of the next epoch
                _store(base, place + i, w, s, x, variant)

    return finish_epoch


def _make_squared_errors(variant: Variant) -> Callable[..., None]:
    lanes = variant.lanes

    def squared_errors(
        user: Any, item: Any, rating: Any, user_places: Any, item_places: Any, user_rows: Any,
        item_rows: Any, mu: Any, scale: Any, sums: Any,
    ) -> None:  # fmt: skip
        users, items = pointer(user_rows), pointer(item_rows)
        none, ahead, end = zeros(lanes), lookahead(variant.stride), len(rating)
        stride = item_rows.shape[1] * variant.width
        low, high = np.int64(0), np.int64(0)
        for n in range(end):
            # Near the end, the last rows are prefetched again, so that no read is out of bounds.
            later = min(n + ahead, end - 1)
            p = np.intp(user_places[user[later]]) * variant.stride
            q = np.intp(item_places[item[later]]) * stride
            for line in range(0, variant.width, LINE):
                prefetch(users, p + line)
                prefetch(items, q + line)
            p = np.intp(user_places[user[n]]) * variant.stride
            q = np.intp(item_places[item[n]]) * stride
            product = _dot(users, p, items, q, none, variant)
            error = np.float64(product + (mu - rating[n]))
            low, high = added(scale * error * error, low, high, sums[0])
        sums[0, 0] += low
        sums[0, 1] += high

    return squared_errors


# ---------------------------------------------------------------------------
# Parts of the kernels
#
# `base` is the address of the rows of one side. `place` is the offset of a row, or of the vector of
# it that is being processed, and `one` is the lane of the constant one counted from `place`. It may
# lie outside of the vector; then `replace` changes nothing. `none` is a vector of zeros.


@inlined
def _learn_batch(
    data: Any, part: Any, users: Any, items: Any, powers: Any, slopes: Any, scale: Any, mu: Any,
    step: Any, user_regs: Any, item_regs: Any, none: Any, variant: Any,
) -> Any:  # fmt: skip
    """Learn from the records of a batch; return both sums of squares and the penalty's change.

    The second sum of squared errors is weighted. `part` holds the first record, the end of the
    batch and the end of the block.
    """
    start, stop, end = part
    slope, ahead = (slopes[step, 0], slopes[step, 1]), lookahead(variant.stride)
    squares, weighted, change = 0.0, 0.0, none
    # Weights stay those before the step while s collects the gradient, so the order of the ratings
    # of a batch matters only for rounding.
    for at in range(start, stop):
        # Near the end, the last record is prefetched again, so that no read is out of bounds.
        prefetch_rows(data, min(at + ahead, end - 1), users, items, 0, variant.stride, variant)
        error, change = _learn(
            data, at, users, items, powers, slope, change, scale, mu, step, user_regs, item_regs,
            none, variant,
        )  # fmt: skip
        squares += error * error
        weighted += factor_of(data, at, variant) * (error * error)
    return squares, weighted, change


@inlined
def _learn(
    data: Any, at: Any, users: Any, items: Any, powers: Any, slope: Any, change: Any,
    scale: Any, mu: Any, step: Any, user_regs: Any, item_regs: Any, none: Any, variant: Any,
) -> Any:  # fmt: skip
    """Learn from one record; return its error and the change of the penalty so far.

    The first pass over both rows adds up the prediction, the second adds the gradient to s. Stores
    limit the speed of wide rows, so the first pass stores nothing, and the second makes the rows
    current again.
    """
    user, item = places(data, at, variant)
    user_gap = _idle_steps(users, user + variant.width + USER_ONE, step, powers)
    item_gap = _idle_steps(items, item + variant.width + ITEM_ONE, step, powers)
    user_move = user_gap, power(powers, user_gap), powers.gain
    item_move = item_gap, power(powers, item_gap), powers.gain
    lanes, width = variant.lanes, variant.width
    # The vectors with the constants come first: the code of the others needs no test for them.
    wu, _, _ = _current(users, user, USER_ONE, user_move, none, variant)
    wi, _, _ = _current(items, item, ITEM_ONE, item_move, none, variant)
    products = fma(wu, wi, none)
    for i in range(lanes, width, lanes):
        wu, _, _ = _current(users, user + i, NOWHERE, user_move, none, variant)
        wi, _, _ = _current(items, item + i, NOWHERE, item_move, none, variant)
        products = fma(wu, wi, products)
    # e = mu + b_u + b_i + p_u . q_i - r: the lanes of ones add the biases to the product
    error = total(products) + (mu - value_of(data, at, variant))
    # -2 lr c e / B and -2 lr / B
    rates = scale * error * factor_of(data, at, variant), scale, slope, step
    ru, ri = load(user_regs, 0, none), load(item_regs, 0, none)
    change = _add_gradients(
        users, user, USER_ONE, user_move, ru, items, item, ITEM_ONE, item_move, ri, rates,
        change, none, variant,
    )  # fmt: skip
    for i in range(lanes, width, lanes):
        ru, ri = load(user_regs, i, none), load(item_regs, i, none)
        change = _add_gradients(
            users, user + i, NOWHERE, user_move, ru, items, item + i, NOWHERE, item_move, ri,
            rates, change, none, variant,
        )  # fmt: skip
    return np.float64(error), change


@inlined
def _add_gradients(
    users: Any, user: Any, user_one: Any, user_move: Any, user_regs: Any, items: Any, item: Any,
    item_one: Any, item_move: Any, item_regs: Any, rates: Any, change: Any, none: Any, variant: Any,
) -> Any:  # fmt: skip
    """Make a vector of both rows current, add the gradient to ``s``, and store them."""
    wu, su, xu = _current(users, user, user_one, user_move, none, variant)
    wi, si, xi = _current(items, item, item_one, item_move, none, variant)
    # s_u += -2 lr c e / B w_i and s_i += -2 lr c e / B w_u, both with the weights before the step
    change = _add_gradient(
        users, user, user_one, wi, wu, su, xu, user_regs, rates, change, variant
    )  # fmt: skip
    return _add_gradient(items, item, item_one, wu, wi, si, xi, item_regs, rates, change, variant)


@inlined
def _current(base: Any, place: Any, one: Any, move: Any, none: Any, variant: Any) -> Any:
    """Return ``w``, ``s`` and ``x`` of a vector of a row, moved some idle steps forward.

    `move` holds the number of steps n, the entries of ``C^n``, and ``1 / (1 - a)``. ``C^0`` is the
    identity, so a current row does not change.
    """
    n, entries, gain = move
    w, s, x = _read(base, place, none, variant)
    s = replace(s, one, 0.0)  # the bits of the step are no velocity
    if variant.table_reg:
        # (x, s)' = C^n (x, s). The penalty must not shrink the constant one, so it is set again.
        x, s = fma(entries[1], s, mul(entries[0], x)), fma(entries[3], s, mul(entries[2], x))
        x = replace(x, one, 1.0)
    else:  # a = 0: the first column of C^n is (1, 0)
        x, s = fma(entries[1], s, x), mul(entries[3], s)
    if not variant.nesterov:
        return x, s, x
    # w = (x + s) / (1 - a) holds after a step; at n = 0, s may contain ratings of this batch
    return choose(n == 0, w, replace(mul(gain, add(x, s)), one, 1.0)), s, x


@inlined
def _add_gradient(
    base: Any, place: Any, one: Any, other: Any, w: Any, s: Any, x: Any, regs: Any, rates: Any,
    change: Any, variant: Any,
) -> Any:  # fmt: skip
    """Add the error times the other side's weights to ``s``, and store the vector with the step.

    Return `change` plus, lane by lane, the change of the future penalty of the table (see
    `powers.py`), or the penalty of this rating.
    """
    factor, scale, slope, step = rates
    # s += -2 lr c e / B times the other side's weights
    moved = fma(factor, other, s)
    if variant.rating_reg:
        part = mul(regs, w)
        moved = fma(scale, part, moved)  # -2 lr reg w / B
        change = fma(part, w, change)  # reg w^2
    if variant.table_reg:
        # m is what the error adds to s. In the lane of the constant one there is no penalty to
        # change.
        m = mul(factor, replace(other, one, 0.0))
        # m (2 F[0, 1] x + F[1, 1] (s + (s + m)))
        change = fma(m, fma(slope[0], x, mul(slope[1], add(s, moved))), change)
    _store(base, place, w, replace(moved, one, float_of_bits(step)), x, variant)
    return change


@inlined
def _store(base: Any, place: Any, w: Any, s: Any, x: Any, variant: Any) -> None:
    """Store the vectors ``w``, ``s`` and ``x`` of a row; without Nesterov momentum x is w."""
    store(base, place, w)
    store(base, place + variant.width, s)
    if variant.nesterov:
        store(base, place + 2 * variant.width, x)


@inlined
def _read(base: Any, place: Any, none: Any, variant: Any) -> Any:
    """Return the vectors ``w``, ``s`` and ``x`` of a row; without Nesterov momentum x is w."""
    w = load(base, place, none)
    s = load(base, place + variant.width, none)
    x = load(base, place + 2 * variant.width, none) if variant.nesterov else w
    return w, s, x


@inlined
def _idle_steps(base: Any, place: Any, step: Any, powers: Any) -> Any:
    """Return how many steps a row is behind; `place` is the offset of its own step."""
    # From the limit on, all powers are equal.
    return min(step - load_int(base, place), powers.limit)


@inlined
def _dot(users: Any, user: Any, items: Any, item: Any, none: Any, variant: Any) -> Any:
    """Return the prediction for rows at two offsets, less ``mu``."""
    products = none
    for i in range(0, variant.width, variant.lanes):
        w = load(users, user + i, none)
        products = fma(w, load(items, item + i, none), products)
    return total(products)

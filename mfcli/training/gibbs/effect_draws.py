"""The compiled kernel that draws what each row of the other side adds to prior means.

The prior mean of a row may be ``m_u = m + sum_i y_i`` over the items i that user u has rated. Given
the rows, the effect y_i, which has a prior of precision I, is Gaussian. If L is diagonal with
entries l_f, its columns f are independent. With residuals ``d_u = x_u - m_u``, sums over the users
of i, and n of these users::

    precision  1 + n l_f
    mean       l_f (n y_if + sum_u d_uf) / (1 + n l_f)

A change of y_i is subtracted from the residuals of these users at once.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types

from mfcli.storage import array_type, compiled
from mfcli.training.gibbs.normals import PER_COUNTER, normals
from mfcli.training.normal_equations.records import RECORDS, other_of
from mfcli.vectors import add, fma, load, mul, pointer, prefetch, store, zeros

_AHEAD = 32  # rows between the prefetch of a residual and its use
_DRAWN = 16  # effects whose variates are drawn at once

_FLOATS = array_type(types.float32, 1)
_TABLE = array_type(types.float32, 2)
_KEY = array_type(types.uint32, 1)


@functools.cache
def draw_effects(lanes: int) -> Callable[..., None]:
    """Compile the kernel for blocks of columns, or load it from the cache.

    It takes ``(first, last, records, effects, residuals, precisions, key, turn, counter)``, draws
    the effects `first` to ``last - 1``, one after another, and subtracts their changes from the
    residuals.

    `records` give the rows that each of these effects applies to. `effects`, `residuals` and
    `precisions`, the l_f, have `lanes` columns and begin with a cache line. Normal variates belong
    to `key`, `turn`, and the counters from `counter` on.
    """
    return compiled(
        _make_draw_effects(lanes), types.intp, types.intp, RECORDS, _TABLE, _TABLE, _FLOATS, _KEY,
        types.int64, types.int64,
    )  # fmt: skip


def _make_draw_effects(lanes: int) -> Callable[..., None]:
    counters = lanes // PER_COUNTER  # for the variates of an effect

    def kernel(
        first: Any, last: Any, records: Any, effects: Any, residuals: Any, precisions: Any,
        key: Any, turn: Any, counter: Any,
    ) -> None:  # fmt: skip
        drawn, left = pointer(effects), pointer(residuals)
        like = zeros(lanes)
        e = np.empty(_DRAWN * lanes, np.float32)
        for one in range(first, last):
            ahead = (one - first) % _DRAWN
            if ahead == 0:
                normals(counter + one * counters, _DRAWN * counters, turn, key[0], key[1], e)
            start, stop = records.starts[one], records.starts[one + 1]
            if start == stop:
                continue
            count = np.float32(stop - start)
            before = load(drawn, one * lanes, like)
            total = mul(count, before)  # n y_f + sum_u d_uf
            for n in range(start, stop):
                if n + _AHEAD < stop:
                    prefetch(left, other_of(records, n + _AHEAD) * lanes)
                total = add(total, load(left, other_of(records, n) * lanes, like))
            store(drawn, one * lanes, total)
            for f in range(lanes):
                # y_f ~ N(l_f (n y_f + sum_u d_uf) / (1 + n l_f), 1 / (1 + n l_f))
                strength = precisions[f]
                precision = np.float32(1.0) + count * strength
                root = np.float32(math.sqrt(precision))
                own = e[(f // counters * _DRAWN + ahead) * counters + f % counters]
                effects[one, f] = strength * effects[one, f] / precision + own / root
            # What the residuals gain: minus the change of y.
            gain = fma(np.float32(-1.0), load(drawn, one * lanes, like), before)
            for n in range(start, stop):
                if n + _AHEAD < stop:
                    prefetch(left, other_of(records, n + _AHEAD) * lanes)
                at = other_of(records, n) * lanes
                store(left, at, add(load(left, at, like), gain))

    return kernel

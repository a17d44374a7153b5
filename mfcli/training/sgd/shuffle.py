"""Random order of the ratings of a block, by the inside-out variant of the Fisher-Yates shuffle.

Record number i goes to a random place j <= i, and the record at that place moves to the end. (D. E.
Knuth, "The Art of Computer Programming", volume 2, algorithm P, gives the shuffle in place.)
Records stay packed, so that more of them fit in the cache, but each gets one or two words.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types

from mfcli.storage import array_type, compiled, inlined
from mfcli.training.sgd.generators import POOL, draw, seeded
from mfcli.training.sgd.packed_ratings import (
    PACKED,
    WORD,
    Bytes,
    Packed,
    pair_of,
    rating_of,
    slot_of,
    weight_of,
)
from mfcli.training.sgd.rows import Records
from mfcli.vectors import load_word, store_word


def buffer_of(count: int, *, wide: bool, weighted: bool) -> Bytes:
    """Return memory in which up to `count` ratings are shuffled."""
    # A word is read from any field on, so one more lies after the last slot.
    return np.empty(count * slot_of.py_func(wide, weighted) + WORD, np.uint8)


def shuffle(packed: Packed, words: Any, block: int, out: Records) -> None:
    """Fill `out` with the ratings of a block in the random order of a seed.

    Users and items are places of rows. See `generators.seeded` for the seed.
    """
    count, is_weighted = len(out), "weight" in (out.dtype.names or ())
    buffer = buffer_of(count, wide=packed.form.is_wide, weighted=is_weighted)
    pairs, values = np.empty((2, count), np.int32), np.empty((2, count), np.float32)
    _shuffle_of(packed.form.is_wide, is_weighted)(packed, words, block, buffer, pairs, values)
    out["user"], out["item"], out["rating"] = *pairs, values[0]
    if is_weighted:
        out["weight"] = values[1]


@inlined
def shuffle_block(
    packed: Any, block: Any, count: Any, words: Any, pool: Any, out: Any, slot: Any
) -> None:
    """Put the `count` ratings of a block in random order, each into a slot of `out`.

    `pool` is memory for `POOL` uint64, and `slot` is what `slot_of` gives.
    """
    generator, at = seeded(words, block, pool), packed.places[block]
    for i in range(count):
        uniform, generator = draw(generator)
        # j = floor(u (i + 1)) with u < 1, so j <= i. If j = i, the second copy overwrites the
        # first.
        other = slot * np.intp(uniform * np.float64(i + 1))
        for part in range(0, slot, WORD):
            store_word(out, slot * i + part, load_word(out, other + part))
            store_word(out, other + part, load_word(packed.data, at + part))
        at += packed.form.size


@inlined
def firsts_of(packed: Any, block: Any) -> Any:
    """Return the places of the first rows of the user group and the item group of a block."""
    groups = packed.firsts.shape[1]
    stratum, user = block // groups, block % groups
    return packed.firsts[0, user], packed.firsts[1, (user + stratum) % groups]


_BYTES = array_type(types.uint8, 1)
_PAIRS, _VALUES = array_type(types.int32, 2), array_type(types.float32, 2)


@functools.cache
def _shuffle_of(wide: bool, weighted: bool) -> Callable[..., None]:
    words = array_type(types.uint64, 1)
    made = _make_shuffle(wide, weighted)
    return compiled(made, PACKED, words, types.intp, _BYTES, _PAIRS, _VALUES)


def _make_shuffle(wide: bool, weighted: bool) -> Callable[..., None]:
    def shuffle(packed: Any, words: Any, block: Any, out: Any, pairs: Any, values: Any) -> None:
        count, slot = pairs.shape[1], slot_of(wide, weighted)
        shuffle_block(packed, block, count, words, np.empty(POOL, np.uint64), out, slot)
        first_user, first_item = firsts_of(packed, block)
        for n in range(count):
            user, item = pair_of(out, slot * n, wide)
            pairs[0, n], pairs[1, n] = first_user + user, first_item + item
            values[0, n] = rating_of(packed, out, slot * n)
            values[1, n] = weight_of(packed, out, slot * n)

    return shuffle

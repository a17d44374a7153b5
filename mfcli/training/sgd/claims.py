"""Which thread trains on which block, decided in compiled code.

The leading side is the one with more rows. A thread claims one of its groups and trains on the
group's blocks, stratum after stratum, as long as their groups of the other side are ready and for
at most `STRATA` strata. So a group of the larger side is read from memory once, and meets groups
of the other side that the previous groups have left in the cache. A block is ready when both of its
groups have done the blocks of all earlier strata, so no thread waits for a whole stratum. Two
blocks of the same group never run at the same time and always run in the same order. So the result
does not depend on the timing of threads.

Blocks on disk are read in the order in which a single thread visits them. Then a block must also
have been read to be ready. The first of the blocks that are not done is always ready or in work,
because all that it waits for come before it, so threads never wait for each other forever.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from mfcli.storage import array_type, inlined, kernel, tuple_type
from mfcli.vectors import exchange_shared, load_shared, store_shared

NONE = -1
"""In place of the number of a block."""

STRATA = 8  # strata that are visited together; measured, and it does not change results
_ROUNDS = 100  # searches for a block that is ready before a thread goes to sleep
_LINE = 8  # int64 values in a cache line, which only one thread should write to

_INTEGERS = array_type(types.int64, 1)


class Claims(NamedTuple):
    """The progress of an epoch, shared by all threads; changed by `next_block`.

    Attributes
    ----------
    direction : int
        1 if users lead: the block of user group g in stratum s has item group ``g + s``. -1 if
        items lead: the block of item group h has user group ``h - s``. Both are modulo the groups.
    claimed : int64 array, shape (groups,)
        Whether a thread trains on a leading group.
    leaders, others : int64 arrays, shape (groups,)
        Strata that each group has done.
    ratings : int64 array, shape (threads, 8)
        In the first column, the ratings that each thread has trained on.
    stop : int64 array, shape (1,)
        1 if threads must stop.
    visits : int64 array, shape (groups^2,)
        The position of each block in the order in which blocks are read.
    read : int64 array, shape (1,)
        How many of them have been read; see `mark_read`.
    """

    direction: int
    claimed: NDArray[np.int64]
    leaders: NDArray[np.int64]
    others: NDArray[np.int64]
    ratings: NDArray[np.int64]
    stop: NDArray[np.int64]
    visits: NDArray[np.int64]
    read: NDArray[np.int64]

    def is_done(self, blocks: NDArray[np.int64]) -> bool:
        """Return whether all of some blocks are done."""
        groups = len(self.claimed)
        strata, users = np.divmod(blocks, groups)
        leaders = users if self.direction > 0 else (users + strata) % groups
        return bool((self.leaders[leaders] > strata).all())


CLAIMS = tuple_type(
    Claims, types.intp, _INTEGERS, _INTEGERS, _INTEGERS, array_type(types.int64, 2), _INTEGERS,
    _INTEGERS, _INTEGERS,
)  # fmt: skip


def make_claims(
    groups: int,
    more_users: bool,
    threads: int,
    order: NDArray[np.int64] | None = None,
    owned: slice = slice(None),
) -> Claims:
    """Return the claims at the start of an epoch.

    Parameters
    ----------
    groups : int
    more_users : bool
        Whether the larger side is that of users.
    threads : int
    order : int64 array, shape (blocks,), optional
        The blocks in the order in which they are read from disk. By default, all are in memory.
    owned : slice
        The leading groups whose blocks are trained on here.
    """
    claimed, leaders, others = (np.zeros(groups, np.int64) for _ in range(3))
    ratings, stop = np.zeros((threads, _LINE), np.int64), np.zeros(1, np.int64)
    visits, read = np.zeros(groups**2, np.int64), np.ones(1, np.int64)
    if order is not None:
        visits[order], read[0] = np.arange(len(order)), 0
    direction = 1 if more_users else -1
    elsewhere = np.ones(groups, bool)
    elsewhere[owned] = False
    leaders[elsewhere] = groups  # as if they had done all strata
    return Claims(direction, claimed, leaders, others, ratings, stop, visits, read)


def visiting_order(groups: int, more_users: bool) -> NDArray[np.int64]:
    """Return the blocks in the order in which a single thread visits them."""
    order = np.empty(groups**2, np.int64)
    _visit(make_claims(groups, more_users, 1), order)
    return order


@kernel(CLAIMS, types.intp)
def mark_read(claims: Any, count: Any) -> None:
    """Say that this many blocks have been read, so that threads see what they hold."""
    store_shared(claims.read, 0, count)


@kernel(CLAIMS, types.intp, types.intp)
def arrive(claims: Any, other: Any, strata: Any) -> None:
    """Say that the rows of a group of the other side are here, which has done some strata."""
    store_shared(claims.others, other, strata)


@kernel(CLAIMS, types.intp, _INTEGERS)
def look_up(claims: Any, leader: Any, strata: Any) -> None:
    """Set ``strata[0]`` to the strata that a leading group has done; its rows can be read then."""
    strata[0] = load_shared(claims.leaders, leader)


@kernel(CLAIMS, _INTEGERS)
def _visit(claims: Any, order: Any) -> None:
    block = next_block(claims, NONE)
    for n in range(len(order)):
        order[n] = block
        block = next_block(claims, block)


@inlined
def next_block(claims: Any, last: Any) -> Any:
    """Release a block, and return the number of one that is ready and that no other thread gets.

    `last` is the block that this thread has trained on, or `NONE` at first. The result is `NONE` if
    no block is ready.
    """
    groups = len(claims.claimed)
    if last != NONE:
        stratum, user = last // groups, last % groups
        item = (user + stratum) % groups
        leader, other = (user, item) if claims.direction > 0 else (item, user)
        store_shared(claims.others, other, stratum + 1)
        store_shared(claims.leaders, leader, stratum + 1)
        if (stratum + 1) % STRATA and _is_ready(claims, leader):
            return _number(claims, leader)
        store_shared(claims.claimed, leader, 0)
    for _ in range(_ROUNDS):
        leader = _first_ready(claims)
        if leader != NONE and exchange_shared(claims.claimed, leader, 1) == 0:
            # Another thread may have trained on it since.
            if _is_ready(claims, leader):
                return _number(claims, leader)
            store_shared(claims.claimed, leader, 0)
    return NONE


@inlined
def _first_ready(claims: Any) -> Any:
    """Return the leading group to claim, or `NONE`: the first one of the earliest strata.

    User groups go backward, because the block of user group g in stratum s needs the item group
    that user group g + 1 had in stratum s - 1. Item groups go forward.
    """
    groups = len(claims.claimed)
    best, least = NONE, groups
    for n in range(groups):
        leader = groups - 1 - n if claims.direction > 0 else n
        strata = load_shared(claims.leaders, leader) // STRATA
        if strata < least and not load_shared(claims.claimed, leader) and _is_ready(claims, leader):
            best, least = leader, strata
    return best


@inlined
def _is_ready(claims: Any, leader: Any) -> Any:
    """Return whether the next block of a leading group may run."""
    groups, stratum = len(claims.claimed), load_shared(claims.leaders, leader)
    other = (leader + claims.direction * stratum) % groups
    if stratum >= groups or load_shared(claims.others, other) != stratum:
        return False
    visit = claims.visits[_block(claims, leader, stratum)]
    return visit < load_shared(claims.read, 0)


@inlined
def _number(claims: Any, leader: Any) -> Any:
    """Return the number of the next block of a leading group that this thread has claimed."""
    return _block(claims, leader, claims.leaders[leader])


@inlined
def _block(claims: Any, leader: Any, stratum: Any) -> Any:
    groups = len(claims.claimed)
    user = leader if claims.direction > 0 else (leader - stratum) % groups
    return stratum * groups + user

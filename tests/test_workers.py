"""Workers train on the blocks of an epoch without two of them sharing a row."""

from __future__ import annotations

import threading
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numba import types

from mfcli.storage import kernel
from mfcli.training.sgd.claims import CLAIMS, NONE, Claims, make_claims, next_block
from mfcli.training.sgd.workers import run_workers


def test_an_error_in_a_worker_reaches_the_caller() -> None:
    claims = make_claims(4, True, 3)

    def train(worker: int) -> None:
        if worker == 1:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):  # and the others stop
        run_workers(train, claims, 100, lambda done, total: None)


def test_an_interruption_stops_the_workers() -> None:
    claims = make_claims(4, True, 2)
    started, before = threading.Semaphore(0), set(threading.enumerate())

    def train(worker: int) -> None:
        claims.ratings[worker] = 10 * (worker == 1)
        started.release()
        while not claims.stop[0]:
            pass

    def interrupt(done: int, total: int) -> None:
        started.acquire()
        assert (done in (0, 80), total) == (True, 100)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_workers(train, claims, 100, interrupt)
    assert set(threading.enumerate()) == before


@kernel(CLAIMS, types.intp, types.Array(types.int64, 1, "C"))
def take(claims: Any, last: Any, out: Any) -> None:
    """Set ``out[0]`` to the next block."""
    out[0] = next_block(claims, last)


def taken(claims: Claims, last: int) -> int:
    out = np.empty(1, np.int64)
    take(claims, last, out)
    return int(out[0])


def groups_of(block: int, groups: int) -> tuple[int, int, int]:
    """Return the stratum, the user group and the item group of a block."""
    stratum, user = divmod(block, groups)
    return stratum, user, (user + stratum) % groups


@pytest.mark.parametrize("more_users", [True, False])
@pytest.mark.parametrize("groups", [1, 5, 13])
def test_a_stratum_waits_for_its_groups(groups: int, more_users: bool) -> None:
    claims = make_claims(groups, more_users, 4)
    lock, running, seen = threading.Lock(), set[tuple[str, int]](), list[int]()

    def train(worker: int) -> None:
        block = taken(claims, NONE)
        while block != NONE:
            _, user, item = groups_of(block, groups)
            own = {("user", user), ("item", item)}
            with lock:
                assert not running & own
                running.update(own)
                seen.append(block)
            with lock:
                running.difference_update(own)
            block = taken(claims, block)

    run_workers(train, claims, 0, lambda done, total: None)
    assert sorted(seen) == list(range(groups**2))
    for side in (1, 2):
        for group in range(groups):
            places = [groups_of(block, groups) for block in seen]
            strata = [place[0] for place in places if place[side] == group]
            assert strata == sorted(strata)


def test_a_claimed_group_is_not_claimed_again() -> None:
    claims = make_claims(2, True, 2)
    first, second = taken(claims, NONE), taken(claims, NONE)
    assert {first, second} == {0, 1}  # the blocks of stratum 0
    assert taken(claims, NONE) == NONE
    # The next block of this user group needs the item group of the other thread.
    assert taken(claims, first) == NONE
    assert taken(claims, second) in (2, 3)


@pytest.mark.parametrize("more_users", [True, False])
def test_groups_of_the_larger_table_are_used_in_several_strata_at_once(more_users: bool) -> None:
    claims, seen = make_claims(32, more_users, 1), list[int]()
    block = taken(claims, NONE)
    while block != NONE:
        seen.append(block)
        block = taken(claims, block)
    assert len(seen) == 32 * 32

    def changes(side: int) -> int:
        groups = [groups_of(block, 32)[side] for block in seen]
        return sum(a != b for a, b in pairwise(groups))

    larger, smaller = (1, 2) if more_users else (2, 1)
    # Stratum by stratum, the group of either side changes with almost every block.
    assert changes(larger) < 32 * 32 / 3 < changes(smaller)

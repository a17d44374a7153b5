"""Workers train on the blocks of an epoch without two of them sharing a row."""

from __future__ import annotations

import threading
from itertools import pairwise

import pytest
from planted import long_tailed, planted_split

from mfcli.config import Config
from mfcli.training.sgd.blocks import Block, make_blocks
from mfcli.training.sgd.workers import Advance, run_blocks


def test_an_error_in_a_worker_reaches_the_caller() -> None:
    blocks = make_blocks(planted_split(Config()).train, 4, 8)

    def learn(block: Block, worker: int, advance: Advance) -> None:
        if block.stratum == 2:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_blocks(blocks, learn, 3, lambda done, total: None)


def test_an_interruption_stops_the_workers() -> None:
    blocks = make_blocks(planted_split(Config()).train, 4, 8)
    started, before = threading.Semaphore(0), set(threading.enumerate())

    def learn(block: Block, worker: int, advance: Advance) -> None:
        started.release()
        while True:  # until `advance` raises
            advance(0)

    def interrupt(done: int, total: int) -> None:
        assert (done, total) == (0, blocks.ratings)
        started.acquire()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_blocks(blocks, learn, 2, interrupt)
    assert set(threading.enumerate()) == before


def test_a_stratum_waits_for_its_groups() -> None:
    blocks = make_blocks(planted_split(Config()).train, 5, 4)
    lock, running, seen = threading.Lock(), set[tuple[str, int]](), list[Block]()

    def learn(block: Block, worker: int, advance: Advance) -> None:
        own = {("user", block.user_group), ("item", block.item_group)}
        with lock:
            assert not running & own
            running.update(own)
            seen.append(block)
        advance(len(block.records))
        with lock:
            running.difference_update(own)

    run_blocks(blocks, learn, 4, lambda done, total: None)
    assert len(seen) == 25
    for side in ("user_group", "item_group"):
        for group in range(5):
            strata = [block.stratum for block in seen if getattr(block, side) == group]
            assert strata == sorted(strata)


@pytest.mark.parametrize(("users", "items"), [(400, 60), (60, 400)])
def test_groups_of_the_larger_table_are_used_in_several_strata_at_once(
    users: int, items: int
) -> None:
    blocks = make_blocks(long_tailed(5000, users, items), 32, 4)
    seen = list[Block]()

    def learn(block: Block, worker: int, advance: Advance) -> None:
        seen.append(block)

    run_blocks(blocks, learn, 1, lambda done, total: None)
    assert len(seen) == 32 * 32

    def changes(side: str) -> int:
        groups = [getattr(block, side) for block in seen]
        return sum(a != b for a, b in pairwise(groups))

    larger, smaller = ("user_group", "item_group")[:: 1 if users > items else -1]
    # Stratum by stratum, the group of either side changes with almost every block.
    assert changes(larger) < 32 * 32 / 3 < changes(smaller)

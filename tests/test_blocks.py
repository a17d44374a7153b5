"""Blocks contain every rating once, share no rows within a stratum, and have numbered batches."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from planted import long_tailed

from mfcli.errors import ConfigError
from mfcli.training.sgd import blocks as blocks_module
from mfcli.training.sgd.blocks import (
    Blocks,
    count_blocks,
    fill_blocks,
    make_blocks,
    places_of,
    records,
)
from mfcli.training.sgd.rows import RATING, WEIGHTED, Records


class Block(NamedTuple):
    """A part of `Blocks`, with users and items."""

    stratum: int
    user_group: int
    item_group: int
    records: Records
    steps: NDArray[np.int32]


def parts(blocks: Blocks) -> list[Block]:
    """Return the blocks in the order of their numbers."""
    batches, made = blocks.batches, list[Block]()
    for number, (first, last) in enumerate(pairwise(batches.blocks)):
        mine = batches.records[batches.bounds[first] : batches.bounds[last]].copy()
        mine["user"], mine["item"] = blocks.users[mine["user"]], blocks.items[mine["item"]]
        stratum, user = divmod(number, blocks.groups)
        item = (user + stratum) % blocks.groups
        made.append(Block(stratum, user, item, mine, batches.steps[first:last]))
    return made


shapes = {
    "n": st.integers(1, 600),
    "users": st.integers(8, 40),
    "items": st.integers(8, 40),
    "groups": st.integers(1, 8),
    "batch_size": st.integers(1, 70),
}


@settings(max_examples=80, deadline=None)
@given(**shapes)
def test_every_rating_is_in_one_batch(
    n: int, users: int, items: int, groups: int, batch_size: int
) -> None:
    train = long_tailed(n, users, items)
    blocks = make_blocks(train, groups, batch_size)
    for epoch in (1, 2):
        batches = list(blocks.serial(5, epoch))
        assert [len(batch) for batch in batches] == blocks.sizes.tolist()
        together = np.concatenate(batches)
        assert np.array_equal(np.sort(together, order="rating"), records(train))
    assert blocks.ratings == n


@settings(max_examples=80, deadline=None)
@given(**shapes)
def test_blocks_of_a_stratum_share_no_row(
    n: int, users: int, items: int, groups: int, batch_size: int
) -> None:
    blocks = make_blocks(long_tailed(n, users, items), groups, batch_size)
    owner: dict[str, dict[int, int]] = {"user": {}, "item": {}}
    for stratum in range(groups):
        members = [block for block in parts(blocks) if block.stratum == stratum]
        for side in ("user", "item"):
            own = [getattr(block, f"{side}_group") for block in members]
            assert sorted(own) == list(range(groups))
    for block in parts(blocks):
        for side in ("user", "item"):
            for row in block.records[side]:
                group = getattr(block, f"{side}_group")
                assert owner[side].setdefault(int(row), group) == group


@settings(max_examples=80, deadline=None)
@given(**shapes)
def test_steps_are_numbered_once_and_stratum_by_stratum(
    n: int, users: int, items: int, groups: int, batch_size: int
) -> None:
    blocks = make_blocks(long_tailed(n, users, items), groups, batch_size)
    steps = np.concatenate([block.steps for block in parts(blocks)])
    assert sorted(steps.tolist()) == list(range(len(blocks.sizes)))
    assert all((np.diff(block.steps) > 0).all() for block in parts(blocks))
    ends = [
        max(
            (int(b.steps[-1]) for b in parts(blocks) if b.stratum == s and len(b.steps)), default=-1
        )
        for s in range(groups)
    ]
    filled = [end for end in ends if end >= 0]
    assert filled == sorted(filled)


def test_batches_of_a_stratum_are_spread_evenly() -> None:
    blocks = make_blocks(long_tailed(20_000, 300, 300), 4, 16)
    for stratum in range(4):
        members = [block for block in parts(blocks) if block.stratum == stratum]
        first = min(int(block.steps[0]) for block in members)
        total = sum(len(block.steps) for block in members)
        for block in members:
            ideal = first + (np.arange(len(block.steps)) + 0.5) * total / len(block.steps)
            assert np.abs(block.steps - ideal).max() <= len(members)


def test_groups_are_balanced() -> None:
    blocks = make_blocks(long_tailed(100_000, 3000, 3000), 8, 64)
    for side in ("user_group", "item_group"):
        loads = np.zeros(8)
        for block in parts(blocks):
            loads[getattr(block, side)] += len(block.records)
        assert loads.max() < 1.02 * loads.mean()


def test_orders_differ_by_epoch_seed_and_block_but_not_by_call() -> None:
    def order(blocks: Blocks, seed: int, epoch: int) -> list[float]:
        return np.concatenate(list(blocks.serial(seed, epoch)))["rating"].tolist()

    blocks = make_blocks(long_tailed(500, 30, 30), 2, 32)
    assert order(blocks, 1, 1) == order(blocks, 1, 1)
    orders = [order(blocks, seed, epoch) for seed, epoch in ((1, 1), (1, 2), (2, 1))]
    assert orders[0] != orders[1] != orders[2] != orders[0]


@settings(max_examples=80, deadline=None)
@given(**shapes)
def test_rows_of_a_group_are_adjacent(
    n: int, users: int, items: int, groups: int, batch_size: int
) -> None:
    blocks = make_blocks(long_tailed(n, users, items), groups, batch_size)
    for side, rows in (("user", blocks.users), ("item", blocks.items)):
        assert sorted(rows.tolist()) == list(range(len(rows)))
        assert (rows[places_of(rows)] == np.arange(len(rows))).all()
        group = np.full(len(rows), -1)
        for block in parts(blocks):
            group[block.records[side]] = getattr(block, f"{side}_group")
        rated = group[rows][group[rows] >= 0]
        assert rated.tolist() == sorted(rated.tolist())


def test_more_groups_than_rows_are_refused() -> None:
    with pytest.raises(
        ConfigError,
        match=r"blocks must be at most .* \(8 and 9\), got 10",
    ):
        make_blocks(long_tailed(50, 8, 9), 10, 4)


def test_more_steps_than_can_be_numbered_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks_module, "_MOST_STEPS", 100)
    make_blocks(long_tailed(980, 8, 9), 1, 10)
    with pytest.raises(ConfigError, match=r"batch_size must give fewer than .* use a larger one"):
        make_blocks(long_tailed(1000, 8, 9), 1, 10)


@pytest.mark.parametrize(("groups", "weighted"), [(1, False), (3, False), (3, True)])
def test_blocks_are_filled_in_the_order_of_the_ratings(groups: int, weighted: bool) -> None:
    rng = np.random.default_rng(0)
    user, item = rng.integers(0, 20, (2, 500), dtype=np.int32)
    rating = np.arange(500, dtype=np.float32)
    user_group, item_group = rng.integers(0, groups, (2, 20), dtype=np.int32)
    counts = np.zeros((groups, groups), np.int64)
    count_blocks(user, item, user_group, item_group, counts)
    assert counts.sum() == 500
    weight = rng.random(500 * weighted).astype(np.float32)
    places = np.cumsum(counts).reshape(counts.shape) - counts
    out = np.empty(500, WEIGHTED if weighted else RATING)
    ends = places + counts
    user_place, item_place = rng.permuted(np.tile(np.arange(20, dtype=np.int32), (2, 1)), axis=1)
    fill_blocks(weighted)(
        user, item, rating, weight, user_group, item_group, user_place, item_place, places, out
    )
    assert (places == ends).all()
    for stratum in range(groups):
        for g in range(groups):
            mine = (user_group[user] == g) & (item_group[item] == (g + stratum) % groups)
            part = out[ends[stratum, g] - counts[stratum, g] : ends[stratum, g]]
            assert part["rating"].tolist() == rating[mine].tolist()
            assert part["user"].tolist() == user_place[user[mine]].tolist()
            if weighted:
                assert part["weight"].tolist() == weight[mine].tolist()

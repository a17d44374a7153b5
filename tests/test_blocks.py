"""Blocks contain every rating once, share no rows within a stratum, and have numbered batches."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from planted import long_tailed

from mfcli.data import Ratings
from mfcli.errors import ConfigError
from mfcli.storage import lasting_scratch, resources
from mfcli.training.packing import PADDING
from mfcli.training.sgd import blocks as blocks_module
from mfcli.training.sgd.blocks import Blocks, make_blocks, places_of
from mfcli.training.sgd.packed_ratings import Packed
from mfcli.training.sgd.rows import RATING, WEIGHTED, Records
from mfcli.training.sgd.windows import OnDisk


class Block(NamedTuple):
    """A part of `Blocks`, with users and items."""

    stratum: int
    user_group: int
    item_group: int
    records: Records
    steps: NDArray[np.int32]


def records(ratings: Ratings) -> Records:
    """Return ratings as records."""
    made = np.empty(len(ratings), RATING if ratings.weight is None else WEIGHTED)
    for name in made.dtype.names or ():
        made[name] = getattr(ratings, name)
    return made


def unpacked(packed: Packed, block: int, count: int, record: np.dtype[np.void]) -> Records:
    """Return the ratings of a block, with places of users and items: a slow twin of kernels."""
    form, groups = packed.form, packed.firsts.shape[1]
    start, user = packed.places[block], block % groups
    firsts = packed.firsts[0, user], packed.firsts[1, (user + block // groups) % groups]
    made = np.empty(count, record)
    for n in range(count):
        data = packed.data[start + n * form.size : start + (n + 1) * form.size].tobytes()
        pair = [int.from_bytes(data[at : at + form.row], "little") for at in (0, form.row)]
        values, codes = list[np.float32](), data[2 * form.row :]
        for mask, table in ((form.rating, packed.ratings), (form.weight, packed.weights)):
            size = mask.bit_length() // 8
            code = int.from_bytes(codes[:size], "little")
            values.append(table[code] if len(table) else np.uint32(code).view(np.float32))
            codes = codes[size:]
        assert not codes
        made[n] = (firsts[0] + pair[0], firsts[1] + pair[1], *values[: len(record) - 2])
    return made


def parts(blocks: Blocks) -> list[Block]:
    """Return the blocks in the order of their numbers."""
    batches, made = blocks.batches, list[Block]()
    packed = blocks.stored.window(1).packed
    for number, (first, last) in enumerate(pairwise(batches.blocks)):
        count = int(batches.bounds[last] - batches.bounds[first])
        mine = unpacked(packed, number, count, blocks.record)
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


def varied(values: int, weighted: bool) -> Ratings:
    """Return 2,000 ratings with a number of distinct values, perhaps with weights."""
    ratings, rng = long_tailed(2000, 70, 50), np.random.default_rng(1)
    weight = rng.random(len(ratings)).astype(np.float32) if weighted else None
    rating = (ratings.rating % values / 3).astype(np.float32)
    return dataclasses.replace(ratings, rating=rating, weight=weight)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("values", "size"), [(1, 0), (256, 1), (257, 4)])
@pytest.mark.parametrize("groups", [1, 3])
def test_packed_ratings_are_exact_and_in_order(
    groups: int, values: int, size: int, weighted: bool
) -> None:
    train = varied(values, weighted)
    blocks = make_blocks(train, groups, 16)
    assert blocks.stored.window(1).packed.form.size == 2 + 2 + size + 4 * weighted
    expected = records(train)
    for block in parts(blocks):
        rows = {"user": blocks.users, "item": blocks.items}
        mine = np.ones(len(train), bool)
        for side, of_place in rows.items():
            group = np.empty(len(of_place), np.int64)
            first = blocks.stored.window(1).packed.firsts[int(side == "item")]
            group[of_place] = np.searchsorted(first, np.arange(len(of_place)), "right") - 1
            mine &= group[getattr(train, side)] == getattr(block, f"{side}_group")
        assert block.records.tolist() == expected[mine].tolist()


def test_large_groups_have_rows_of_four_bytes() -> None:
    blocks = make_blocks(long_tailed(300, 70_000, 20), 1, 16)
    assert blocks.stored.window(1).packed.form.size == 4 + 4 + 4
    assert np.sort(parts(blocks)[0].records["user"]).tolist() == sorted(
        long_tailed(300, 70_000, 20).user.tolist()
    )


@pytest.mark.parametrize("room", [1, 300, 5000, 1 << 20])
@pytest.mark.parametrize("weighted", [False, True])
def test_blocks_on_disk_are_those_in_memory(room: int, weighted: bool) -> None:
    train = varied(10, weighted)
    memory = make_blocks(train, 3, 16)
    with resources(room=room):
        space = lasting_scratch(100_000, "training")
        disk = make_blocks(train, 3, 16, space)
    packed, stored = memory.stored.window(1).packed, disk.stored
    assert isinstance(stored, OnDisk)
    assert sorted(stored.order.tolist()) == list(range(9))
    for n, block in enumerate(stored.order.tolist()):
        size = int(stored.starts[n + 1] - stored.starts[n]) - PADDING
        found = np.empty(size, np.uint8)
        space.read(int(stored.starts[n]), found)
        start = packed.places[block]
        assert found.tolist() == packed.data[start : start + size].tolist()

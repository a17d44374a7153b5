"""The order of an epoch: ratings in blocks, blocks in strata, batches numbered in advance.

Users and items are partitioned into P groups each, so that the ratings fall into P x P blocks.
Stratum s of an epoch consists of the P blocks of user group g and item group (g + s) mod P. No two
of them share a row, so they may run at the same time without a lock. The ratings of each block are
shuffled and cut into batches of about the same size. The batches of a stratum's blocks are
interleaved evenly and numbered. Whatever runs at the same time, the result is that of a serial run
over the batches in the order of their numbers. (Strata are from R. Gemulla et al., "Large-scale
matrix factorization with distributed stochastic gradient descent", KDD 2011.) With P = 1 this is a
plain shuffled epoch, whose last batch is smaller than the others if the batch size does not divide
the ratings.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

from mfcli.data import Ratings
from mfcli.errors import ConfigError
from mfcli.storage import array_type, compiled, kernel
from mfcli.training.sgd.generators import words_of
from mfcli.training.sgd.rows import RATING, WEIGHTED, Records
from mfcli.training.sgd.shuffle import shuffle
from mfcli.types import Counts

_BALANCED = 64  # rows per group that are placed one by one
_MOST_STEPS = 2**31  # step numbers are int32


class Batches(NamedTuple):
    """The ratings of all blocks and their batches, as kernels read them.

    The block of stratum s and user group g has number ``s * groups + g``.

    Attributes
    ----------
    records : array of RATING or WEIGHTED
        Block after block, in the order of the ratings file. Users and items are places of rows,
        see `Blocks`.
    blocks : int64 array, shape (groups^2 + 1,)
        Block b has the batches ``blocks[b]`` to ``blocks[b + 1] - 1``.
    bounds : int64 array, shape (batches + 1,)
        The ratings of a block are shuffled within its part of `records`. Then batch n is
        ``[bounds[n], bounds[n + 1])``.
    steps : int32 array, shape (batches,)
        Step of each batch within the epoch, ascending within a block.
    """

    records: Records
    blocks: NDArray[np.int64]
    bounds: NDArray[np.int64]
    steps: NDArray[np.int32]


@dataclass(frozen=True)
class Blocks:
    """All ratings of an epoch.

    Attributes
    ----------
    groups : int
        P, the number of user groups and of item groups.
    users, items : int32 arrays, shape (users,) and (items,)
        The user or item at each place of a table in which the rows of a group are adjacent. In such
        a table, the rows of a block take the fewest pages of memory.
    batches : Batches
    sizes : int32 array, shape (steps,)
        Batch size of each step.
    """

    groups: int
    users: NDArray[np.int32]
    items: NDArray[np.int32]
    batches: Batches
    sizes: NDArray[np.int32]

    @property
    def ratings(self) -> int:
        return len(self.batches.records)

    @property
    def is_weighted(self) -> bool:
        """Whether the ratings have weights."""
        return self.batches.records.dtype == WEIGHTED

    @property
    def longest(self) -> int:
        """Number of ratings in the largest block."""
        return int(np.diff(self.batches.bounds[self.batches.blocks]).max())

    def serial(self, seed: int, epoch: int) -> Iterator[Records]:
        """Yield the batches of an epoch in the order of their steps, with users and items."""
        records, blocks, bounds, steps = self.batches
        words, order = words_of(seed, epoch), np.empty_like(records)
        for number, (first, last) in enumerate(pairwise(bounds[blocks])):
            shuffle(records[first:last], words, number, order[first:last])
        order["user"], order["item"] = self.users[order["user"]], self.items[order["item"]]
        for batch in np.argsort(steps):
            yield order[bounds[batch] : bounds[batch + 1]]


def records(ratings: Ratings) -> Records:
    """Copy the columns of ratings into one array with a record per rating."""
    made = np.empty(len(ratings), RATING)
    for name in ("user", "item", "rating"):
        made[name] = getattr(ratings, name)
    return made


def make_blocks(train: Ratings, groups: int, batch_size: int) -> Blocks:
    """Partition ratings into blocks and number their batches.

    Raises
    ------
    ConfigError
        If there are more groups than users or items, or more steps than can be numbered.
    """
    if groups > min(len(train.users), len(train.items)):
        most = f"{len(train.users)} and {len(train.items)}"
        rule = f"must be at most the number of users and of items ({most})"
        raise ConfigError(rule, param="blocks", value=groups)
    # Each of the groups^2 blocks has at most one batch that is not full.
    if len(train) // batch_size + groups**2 >= _MOST_STEPS:
        rule = "must give fewer than 2^31 steps per epoch"
        raise ConfigError(rule, param="batch_size", value=batch_size, remedy="use a larger one")
    user_group = _balanced_groups(train.users.counts, groups)
    item_group = _balanced_groups(train.items.counts, groups)
    users, items = (np.argsort(g, kind="stable").astype(np.int32) for g in (user_group, item_group))
    # A counting sort in two passes: count each block, then copy every rating to its place.
    counts = np.zeros((groups, groups), np.int64)
    count_blocks(train.user, train.item, user_group, item_group, counts)
    ends = np.cumsum(counts).reshape(groups, groups)
    weight = np.empty(0, np.float32) if train.weight is None else train.weight
    ordered = np.empty(len(train), RATING if train.weight is None else WEIGHTED)
    fill_blocks(train.weight is not None)(
        train.user, train.item, train.rating, weight, user_group, item_group, places_of(users),
        places_of(items), ends - counts, ordered,
    )  # fmt: skip
    return Blocks(groups, users, items, *_numbered(ordered, counts, batch_size))


def places_of(rows: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the place of each row, from the row at each place."""
    places = np.empty_like(rows)
    places[rows] = np.arange(len(rows), dtype=np.int32)
    return places


def _balanced_groups(counts: Counts, groups: int) -> NDArray[np.int32]:
    """Assign rows to groups with about the same number of ratings.

    Each of the rows with the most ratings goes to the group that has the fewest. The many rows with
    few ratings are assigned in turn: to groups 0 to P - 1, then P - 1 to 0, and so on.
    """
    # A stable sort breaks ties by row number, so that every machine makes the same blocks.
    order = np.argsort(-counts, kind="stable")
    # 0 1 2 | 2 1 0 | 0 1 2 ...: the group with the largest row of a turn gets the smallest of the
    # next.
    turns = np.arange(len(order)) // groups
    place = np.arange(len(order)) % groups
    group = np.empty(len(order), np.int32)
    group[order] = np.where(turns % 2, groups - 1 - place, place)
    load = np.zeros(groups, np.int64)
    # Placing all rows in this way would take long, and the others have few ratings.
    for row in order[: _BALANCED * groups]:
        group[row] = np.argmin(load)
        load[group[row]] += counts[row]
    return group


def _numbered(
    ordered: Records, counts: Counts, batch_size: int
) -> tuple[Batches, NDArray[np.int32]]:
    """Cut the blocks into batches and number them; return also the size of each step.

    Parameters
    ----------
    ordered : array of RATING or WEIGHTED
        The ratings block by block.
    counts : int64 array, shape (strata, user groups)
        Number of ratings of each block.
    batch_size : int
    """
    bounds, batches = _cut(counts.ravel(), batch_size)
    per_block = batches.reshape(counts.shape)
    steps = np.concatenate([_interleave(row) for row in per_block])
    # Steps of the next stratum follow those of this one.
    totals = per_block.sum(axis=1)
    steps += np.repeat(np.cumsum(totals) - totals, totals).astype(np.int32)
    sizes = np.empty(len(steps), np.int32)
    sizes[steps] = np.diff(bounds)
    blocks = np.append(0, np.cumsum(batches))
    return Batches(ordered, blocks, bounds, steps), sizes


def _cut(ratings: Counts, batch_size: int) -> tuple[Counts, Counts]:
    """Cut blocks into batches; return the bounds of all batches and their number in each block.

    With one block the last batch takes the rest, as in Keras. Many blocks would have many such
    small batches, and a step with one rating moves its rows as much as a step with a full batch. So
    their ratings are spread evenly over the batches.
    """
    # Rounded up, so that no batch is larger than the batch size.
    batches = -(-ratings // batch_size)
    ends, number = np.cumsum(ratings), _count_up(batches)
    if len(ratings) == 1:
        starts = number * batch_size
    else:
        starts = number * np.repeat(ratings, batches) // np.repeat(batches, batches)
        starts += np.repeat(ends - ratings, batches)
    return np.append(starts, ends[-1]), batches


def _count_up(counts: Counts) -> Counts:
    """Return 0, 1, ... for each count, one after another."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1]) - np.repeat(ends - counts, counts)


def _interleave(batches: Counts) -> NDArray[np.int32]:
    """Number the batches of a stratum so that the batches of each block are spread evenly.

    The n batches of a block have the times (0.5, 1.5, ...) / n and are numbered in order of time.
    """
    times = (_count_up(batches) + 0.5) / np.repeat(batches, batches)
    steps = np.empty(len(times), np.int32)
    steps[np.argsort(times, kind="stable")] = np.arange(len(times))
    return steps


_ROWS = array_type(types.int32, 1, readonly=True)
_RATINGS = array_type(types.float32, 1, readonly=True)
_COUNTS = array_type(types.int64, 2)


@kernel(_ROWS, _ROWS, _ROWS, _ROWS, _COUNTS)
def count_blocks(user: Any, item: Any, user_group: Any, item_group: Any, counts: Any) -> None:
    """Add the ratings of each block to ``counts[stratum, user group]`` (int64).

    `user` and `item` are int32 columns of the ratings; `user_group` and `item_group` (int32) are
    the groups of the rows. Stratum s of user group g has the item group ``(g + s) % groups``.
    """
    groups = counts.shape[0]
    for n in range(len(user)):
        g = user_group[user[n]]
        counts[(item_group[item[n]] - g) % groups, g] += 1


@functools.cache
def fill_blocks(weighted: bool) -> Callable[..., None]:
    """Compile the kernel that copies the ratings to `out`, block by block.

    ``(user, item, rating, weight, user_group, item_group, user_place, item_place, starts, out)``:
    `out` gets the places of users and items (int32). A block starts at
    ``starts[stratum, user group]`` (int64), which is moved to its end. Only a `weighted` kernel
    reads weights (float32).
    """
    out = array_type(numba.from_dtype(WEIGHTED if weighted else RATING), 1)
    return compiled(
        _make_fill_blocks(weighted), _ROWS, _ROWS, _RATINGS, _RATINGS, _ROWS, _ROWS, _ROWS, _ROWS,
        _COUNTS, out,
    )  # fmt: skip


def _make_fill_blocks(weighted: bool) -> Callable[..., None]:
    def fill_blocks(
        user: Any, item: Any, rating: Any, weight: Any, user_group: Any, item_group: Any,
        user_place: Any, item_place: Any, starts: Any, out: Any,
    ) -> None:  # fmt: skip
        groups = starts.shape[0]
        for n in range(len(user)):
            u, i = user[n], item[n]
            stratum = (item_group[i] - user_group[u]) % groups
            to = starts[stratum, user_group[u]]
            starts[stratum, user_group[u]] = to + 1
            out[to].user, out[to].item, out[to].rating = user_place[u], item_place[i], rating[n]
            if weighted:
                out[to].weight = weight[n]

    return fill_blocks

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

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

from mfcli.data import Ratings
from mfcli.errors import ConfigError
from mfcli.storage import array_type, kernel
from mfcli.training.sgd.rows import RATING, Records
from mfcli.training.sgd.shuffle import shuffle
from mfcli.types import Counts

_BALANCED = 64  # rows per group that are placed one by one
_STRATA = 8  # strata that are visited together; measured, and it does not change results
_MOST_STEPS = 2**31  # step numbers are int32


@dataclass(frozen=True)
class Block:
    """The ratings of one user group and one item group.

    Attributes
    ----------
    number : int
        Determines the random order, together with seed and epoch.
    stratum, user_group, item_group : int
    records : array of RATING
        In the order of the ratings file.
    steps : int32 array, shape (batches,)
        Step of each batch within the epoch, ascending.
    bounds : int64 array, shape (batches + 1,)
        Batch n is ``[bounds[n], bounds[n + 1])`` of the shuffled records.
    """

    number: int
    stratum: int
    user_group: int
    item_group: int
    records: Records
    steps: NDArray[np.int32]
    bounds: NDArray[np.int64]

    def shuffle(self, out: Records, seed: int, epoch: int) -> Records:
        """Copy the records, in the random order of an epoch, to the start of `out`; return it."""
        order = out[: len(self.records)]
        shuffle(self.records, order, np.random.default_rng([seed, epoch, self.number]))
        return order


@dataclass(frozen=True)
class Blocks:
    """All ratings of an epoch.

    Attributes
    ----------
    groups : int
        P, the number of user groups and of item groups.
    blocks : list of Block
        In the order in which they are trained on, as far as their strata permit.
    sizes : int32 array, shape (steps,)
        Batch size of each step.
    """

    groups: int
    blocks: list[Block]
    sizes: NDArray[np.int32]

    @property
    def ratings(self) -> int:
        return int(self.sizes.sum(dtype=np.int64))

    @property
    def longest(self) -> int:
        """Number of ratings in the largest block."""
        return max(len(block.records) for block in self.blocks)

    def serial(self, seed: int, epoch: int) -> Iterator[Records]:
        """Yield the batches of an epoch in the order of their steps."""
        batches: list[Records] = [np.empty(0, RATING)] * len(self.sizes)
        for block in self.blocks:
            order = block.shuffle(np.empty(len(block.records), RATING), seed, epoch)
            for batch, step in enumerate(block.steps):
                batches[step] = order[block.bounds[batch] : block.bounds[batch + 1]]
        yield from batches


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
    # A counting sort in two passes: count each block, then copy every rating to its place.
    counts = np.zeros((groups, groups), np.int64)
    count_blocks(train.user, train.item, user_group, item_group, counts)
    ends = np.cumsum(counts).reshape(groups, groups)
    ordered = np.empty(len(train), RATING)
    fill_blocks(
        train.user, train.item, train.rating, user_group, item_group, ends - counts, ordered
    )
    blocks = _numbered(ordered, ends, counts, batch_size)
    blocks.blocks.sort(key=partial(_by_visit, more_users=len(train.users) > len(train.items)))
    return blocks


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


def _numbered(ordered: Records, ends: Counts, counts: Counts, batch_size: int) -> Blocks:
    """Cut the blocks into batches and number them.

    Parameters
    ----------
    ordered : array of RATING
        The ratings block by block.
    ends, counts : int64 arrays, shape (strata, user groups)
        End of each block in `ordered`, and its number of ratings.
    batch_size : int
    """
    groups, first = len(counts), 0
    blocks = []
    sizes = np.empty(int((-(-counts // batch_size)).sum()), np.int32)
    for stratum in range(groups):
        cuts = [_bounds(int(n), batch_size, groups) for n in counts[stratum]]
        numbers = _interleave([len(bounds) - 1 for bounds in cuts], first)
        for user, (bounds, steps) in enumerate(zip(cuts, numbers, strict=True)):
            number, item = stratum * groups + user, (user + stratum) % groups
            end = ends[stratum, user]
            # `bounds[-1]` is the number of ratings in the block.
            part = ordered[end - bounds[-1] : end]
            blocks.append(Block(number, stratum, user, item, part, steps, bounds))
            sizes[steps] = np.diff(bounds)
        # Steps of the next stratum follow those of this one.
        first += sum(map(len, numbers))
    return Blocks(groups, blocks, sizes)


def _by_visit(block: Block, more_users: bool) -> tuple[int, int, int]:
    """Sort blocks so that consecutive ones share rows, which then are in the cache.

    The groups of one side pass through some strata, one group after another. A group of the larger
    side is read from memory once, and meets groups of the other side that the previous group has
    left in the cache. User groups go backward, because the block of user group g in stratum s needs
    the item group that user group g + 1 had in stratum s - 1.
    """
    group = -block.user_group if more_users else block.item_group
    return block.stratum // _STRATA, group, block.stratum


def _bounds(ratings: int, batch_size: int, groups: int) -> NDArray[np.int64]:
    """Cut a block into batches.

    With one block the last batch takes the rest, as in Keras. Many blocks would have many such
    small batches, and a step with one rating moves its rows as much as a step with a full batch. So
    their ratings are spread evenly over the batches.
    """
    # Rounded up, so that no batch is larger than the batch size.
    batches = -(-ratings // batch_size)
    if groups == 1:
        return np.minimum(np.arange(batches + 1) * batch_size, ratings)
    return np.arange(batches + 1) * ratings // max(batches, 1)


def _interleave(counts: list[int], first: int) -> list[NDArray[np.int32]]:
    """Number the batches of a stratum so that the batches of each block are spread evenly.

    The n batches of a block have the times (0.5, 1.5, ...) / n and are numbered in order of time.
    """
    # NumPy cannot concatenate nothing, hence the empty array for a stratum without ratings.
    times = np.concatenate([(np.arange(n) + 0.5) / n for n in counts if n] or [np.empty(0)])
    steps = np.empty(len(times), np.int32)
    steps[np.argsort(times, kind="stable")] = np.arange(first, first + len(times))
    return np.split(steps, np.cumsum(counts)[:-1])


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


@kernel(_ROWS, _ROWS, _RATINGS, _ROWS, _ROWS, _COUNTS, array_type(numba.from_dtype(RATING), 1))
def fill_blocks(
    user: Any, item: Any, rating: Any, user_group: Any, item_group: Any, places: Any, out: Any
) -> None:
    """Copy the ratings to `out`, block by block.

    A block starts at ``places[stratum, user group]`` (int64), which is moved to its end.
    """
    groups = places.shape[0]
    for n in range(len(user)):
        g = user_group[user[n]]
        stratum = (item_group[item[n]] - g) % groups
        place = places[stratum, g]
        places[stratum, g] = place + 1
        out[place].user, out[place].item, out[place].rating = user[n], item[n], rating[n]

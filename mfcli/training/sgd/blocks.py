"""The order of an epoch: ratings in blocks, blocks in strata, batches numbered in advance.

Users and items are dealt into P groups each, so that the ratings fall into P x P blocks. Stratum s
of an epoch holds the P blocks of user group g and item group (g + s) mod P: no two of them share a
row, so they may run at the same time without a lock. Each block's ratings are shuffled and cut into
batches of about the same size, and the batches of a stratum's blocks are interleaved evenly and
numbered. Whatever runs at
the same time, the result is that of a serial run over the batches in the order of their numbers
(R. Gemulla et al., "Large-scale matrix factorization with distributed stochastic gradient descent",
KDD 2011, for the strata). With P = 1 it is a plain shuffled epoch, its last batch smaller than
the others if the ratings do not divide.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mfcli.data import Ratings
from mfcli.errors import ConfigError
from mfcli.training.sgd.kernels import RATING, Records, shared_kernels, shuffle

CACHE = 1 << 21  # bytes of tables that a block should touch: a usual second-level cache
MOST_GROUPS = 64
_LEAST_BATCHES = 32  # in a block, on average


@dataclass(frozen=True)
class Block:
    """Ratings of one user group and one item group.

    Attributes
    ----------
    number : int
        Names the block's random order.
    stratum, user_group, item_group : int
    records : array of RATING
        In the order of the ratings file.
    steps : int32 array, shape (batches,)
        The number of each batch's step within the epoch, ascending.
    bounds : int64 array, shape (batches + 1,)
        Where each batch begins in the shuffled records, and the last one ends.
    """

    number: int
    stratum: int
    user_group: int
    item_group: int
    records: Records
    steps: NDArray[np.int32]
    bounds: NDArray[np.int64]

    def shuffle(self, out: Records, seed: int, epoch: int) -> Records:
        """Put the ratings into the random order of an epoch, at the start of `out`."""
        order = out[: len(self.records)]
        shuffle(self.records, order, np.random.default_rng([seed, epoch, self.number]))
        return order


@dataclass(frozen=True)
class Blocks:
    """All ratings of an epoch.

    Attributes
    ----------
    groups : int
        P.
    blocks : list of Block
        Stratum by stratum.
    sizes : int32 array, shape (steps,)
        Ratings in the batch of each step.
    """

    groups: int
    blocks: list[Block]
    sizes: NDArray[np.int32]

    @property
    def ratings(self) -> int:
        return int(self.sizes.sum(dtype=np.int64))

    @property
    def longest(self) -> int:
        """Ratings in the largest block."""
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
    """Copy the columns of ratings into one array, a record a rating."""
    made = np.empty(len(ratings), RATING)
    for name in ("user", "item", "rating"):
        made[name] = getattr(ratings, name)
    return made


def default_groups(train: Ratings, row_bytes: int, batch_size: int) -> int:
    """Choose P from the data alone: the least power of two with which a block's rows fit a cache.

    Parameters
    ----------
    train : Ratings
    row_bytes : int
        Of a row of a table with all that an engine keeps beside it.
    batch_size : int
        A block should have at least 32 batches.
    """
    tables = (len(train.users) + len(train.items)) * row_bytes
    groups = 1
    while (
        groups * CACHE < tables
        and groups < MOST_GROUPS
        and len(train) >= (2 * groups) ** 2 * _LEAST_BATCHES * batch_size
    ):
        groups *= 2
    return groups


def make_blocks(train: Ratings, groups: int, batch_size: int) -> Blocks:
    """Deal ratings into blocks and number their batches.

    Raises
    ------
    ConfigError
        If there are more groups than users or items, or more steps than can be numbered.
    """
    if groups > min(len(train.users), len(train.items)):
        raise ConfigError(
            f"blocks must be at most the number of users and of items, got {groups} for"
            f" {len(train.users)} users and {len(train.items)} items"
        )
    if len(train) // batch_size + groups**2 >= 2**31:
        raise ConfigError(
            f"an epoch must have fewer than 2^31 steps; raise batch_size {batch_size}"
        )
    user_group, item_group = _deal(train.users.counts, groups), _deal(train.items.counts, groups)
    counts = np.zeros((groups, groups), np.int64)
    shared_kernels().count_blocks(train.user, train.item, user_group, item_group, counts)
    ends = np.cumsum(counts).reshape(groups, groups)
    ordered = np.empty(len(train), RATING)
    shared_kernels().fill_blocks(
        train.user, train.item, train.rating, user_group, item_group, ends - counts, ordered
    )
    return _numbered(ordered, ends, counts, batch_size)


def _deal(counts: NDArray[np.int64], groups: int) -> NDArray[np.int32]:
    """Deal rows into groups of about the same number of ratings.

    The rows with the most ratings go, one by one, to the group that has the least; the many small
    ones are dealt out forth and back.
    """
    order = np.argsort(-counts, kind="stable")
    turns = np.arange(len(order)) // groups
    place = np.arange(len(order)) % groups
    group = np.empty(len(order), np.int32)
    group[order] = np.where(turns % 2, groups - 1 - place, place)
    load = np.zeros(groups, np.int64)
    for row in order[: 64 * groups]:
        group[row] = np.argmin(load)
        load[group[row]] += counts[row]
    return group


def _numbered(
    ordered: Records, ends: NDArray[np.int64], counts: NDArray[np.int64], batch_size: int
) -> Blocks:
    groups, first = len(counts), 0
    blocks = []
    sizes = np.empty(int((-(-counts // batch_size)).sum()), np.int32)
    for stratum in range(groups):
        bounds = [_bounds(int(n), batch_size, groups) for n in counts[stratum]]
        steps = _interleave([len(own) - 1 for own in bounds], first)
        for user, (own, numbers) in enumerate(zip(bounds, steps, strict=True)):
            number, end = stratum * groups + user, ends[stratum, user]
            part = ordered[end - own[-1] : end]
            blocks.append(
                Block(number, stratum, user, (user + stratum) % groups, part, numbers, own)
            )
            sizes[numbers] = np.diff(own)
        first += sum(map(len, steps))
    return Blocks(groups, blocks, sizes)


def _bounds(ratings: int, batch_size: int, groups: int) -> NDArray[np.int64]:
    """Cut a block into batches.

    With one block the last batch takes what is left, as in Keras. With many, so many small batches
    would count: a lone rating makes a step as long as a whole batch does. The ratings are then
    spread evenly.
    """
    batches = -(-ratings // batch_size)
    if groups == 1:
        return np.minimum(np.arange(batches + 1) * batch_size, ratings)
    return np.arange(batches + 1) * ratings // max(batches, 1)


def _interleave(counts: list[int], first: int) -> list[NDArray[np.int32]]:
    """Number the batches of blocks that run at the same time, spreading each block's evenly."""
    times = np.concatenate([(np.arange(n) + 0.5) / n for n in counts if n] or [np.empty(0)])
    steps = np.empty(len(times), np.int32)
    steps[np.argsort(times, kind="stable")] = np.arange(first, first + len(times))
    return np.split(steps, np.cumsum(counts)[:-1])

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
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mfcli.data import CountedColumns
from mfcli.errors import ConfigError
from mfcli.storage import Scratch
from mfcli.training.sgd.claims import visiting_order
from mfcli.training.sgd.filling import Layout, blocks_in_memory, blocks_on_disk
from mfcli.training.sgd.generators import words_of
from mfcli.training.sgd.rows import RATING, WEIGHTED, Records
from mfcli.training.sgd.shuffle import shuffle
from mfcli.training.sgd.windows import Stored
from mfcli.types import Counts

_BALANCED = 64  # rows per group that are placed one by one
_MOST_STEPS = 2**31  # step numbers are int32


class Batches(NamedTuple):
    """The batches of all blocks, as kernels read them.

    The block of stratum s and user group g has number ``s * groups + g``.

    Attributes
    ----------
    blocks : int64 array, shape (groups^2 + 1,)
        Block b has the batches ``blocks[b]`` to ``blocks[b + 1] - 1``.
    bounds : int64 array, shape (batches + 1,)
        The ratings of a block are shuffled. Then batch n is ``[bounds[n], bounds[n + 1])``, where
        ratings are counted block after block.
    steps : int32 array, shape (batches,)
        Step of each batch within the epoch, ascending within a block.
    """

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
    firsts : int64 array, shape (2, groups + 1)
        The place of the first user and of the first item of each group, and the number of places.
    batches : Batches
    sizes : int32 array, shape (steps,)
        Batch size of each step.
    stored : Stored
        The ratings, packed.
    is_weighted : bool
        Whether the ratings have weights.
    """

    groups: int
    users: NDArray[np.int32]
    items: NDArray[np.int32]
    firsts: Counts
    batches: Batches
    sizes: NDArray[np.int32]
    stored: Stored
    is_weighted: bool

    @property
    def ratings(self) -> int:
        return int(self.batches.bounds[-1])

    @property
    def record(self) -> np.dtype[np.void]:
        """`RATING` or `WEIGHTED`, the type of shuffled ratings."""
        return WEIGHTED if self.is_weighted else RATING

    @property
    def longest(self) -> int:
        """Number of ratings in the largest block."""
        return int(np.diff(self.batches.bounds[self.batches.blocks]).max())

    def serial(self, seed: int, epoch: int) -> Iterator[Records]:
        """Yield the batches of an epoch in the order of their steps, with users and items.

        The ratings must be in memory.
        """
        blocks, bounds, steps = self.batches
        words, order = words_of(seed, epoch), np.empty(self.ratings, self.record)
        packed = self.stored.window(1).packed
        for number, (first, last) in enumerate(pairwise(bounds[blocks])):
            shuffle(packed, words, number, order[first:last])
        order["user"], order["item"] = self.users[order["user"]], self.items[order["item"]]
        for batch in np.argsort(steps):
            yield order[bounds[batch] : bounds[batch + 1]]


@dataclass(frozen=True)
class Groups:
    """The groups of users and of items; a side is 0 for users and 1 for items.

    Attributes
    ----------
    count : int
        P
    of_row : tuple of int32 arrays, shapes (users,) and (items,)
        The group of each user, and of each item.
    rows : tuple of int32 arrays, shapes (users,) and (items,)
        The user or item at each place of a table in which the rows of a group are adjacent.
    firsts : int64 array, shape (2, P + 1)
        The place of the first row of each group, and the number of rows.
    """

    count: int
    of_row: tuple[NDArray[np.int32], NDArray[np.int32]]
    rows: tuple[NDArray[np.int32], NDArray[np.int32]]
    firsts: Counts

    @classmethod
    def of(cls, counts: tuple[Counts, Counts], count: int) -> Groups:
        """Partition users and items.

        Parameters
        ----------
        counts : tuple of int64 arrays, shapes (users,) and (items,)
            Number of training ratings of each user, and of each item.
        count : int

        Raises
        ------
        ConfigError
            If there are more groups than users or items.
        """
        users, items = map(len, counts)
        if count > min(users, items):
            rule = f"must be at most the number of users and of items ({users} and {items})"
            raise ConfigError(rule, param="blocks", value=count)
        users_of, items_of = (_balanced_groups(side, count) for side in counts)
        rows = tuple(np.argsort(of, kind="stable").astype(np.int32) for of in (users_of, items_of))
        sizes = [np.bincount(of, minlength=count) for of in (users_of, items_of)]
        firsts = np.array([np.append(0, np.cumsum(side)) for side in sizes])
        return cls(count, (users_of, items_of), (rows[0], rows[1]), firsts)

    @property
    def visiting_order(self) -> Counts:
        """The blocks in the order in which a single thread visits them."""
        return visiting_order(self.count, len(self.rows[0]) > len(self.rows[1]))


def make_blocks(
    train: CountedColumns, groups: int, batch_size: int, space: Scratch | None = None
) -> Blocks:
    """Partition ratings into blocks and number their batches.

    Parameters
    ----------
    train : CountedColumns
        Read three times, piece by piece.
    groups, batch_size : int
    space : Scratch, optional
        For the blocks. By default, they are in memory.

    Raises
    ------
    ConfigError
        If there are more groups than users or items, or more steps than can be numbered.
    ArtifactError
        If the blocks cannot be written.
    """
    made = Groups.of((train.users.counts, train.items.counts), groups)
    check_steps(len(train), groups, batch_size)
    stored, counts = packed_blocks(train, made, made.visiting_order, space)
    return blocks_of(made, stored, counts, batch_size, is_weighted="weight" in train.types)


def check_steps(ratings: int, groups: int, batch_size: int) -> None:
    """Refuse more steps than can be numbered.

    Raises
    ------
    ConfigError
    """
    # Each of the groups^2 blocks has at most one batch that is not full.
    if ratings // batch_size + groups**2 >= _MOST_STEPS:
        rule = "must give fewer than 2^31 steps per epoch"
        raise ConfigError(rule, param="batch_size", value=batch_size, remedy="use a larger one")


def packed_blocks(
    train: CountedColumns, groups: Groups, order: Counts, space: Scratch | None = None
) -> tuple[Stored, Counts]:
    """Copy ratings to their blocks.

    Parameters
    ----------
    train : Columns
        Perhaps those of some blocks only.
    groups : Groups
    order : int64 array
        The numbers of these blocks in the order in which they are visited.
    space : Scratch, optional
        As in `make_blocks`.

    Returns
    -------
    stored : Stored
    counts : int64 array, shape (strata, user groups)
        Number of ratings of each block.
    """
    layout = Layout.of(train, groups.of_row, groups.rows, groups.firsts, order)
    # A counting sort in two passes: count each block, then copy every rating to its place.
    if space is None:
        return blocks_in_memory(train, layout)
    return blocks_on_disk(train, layout, space)


def blocks_of(
    groups: Groups, stored: Stored, counts: Counts, batch_size: int, *, is_weighted: bool
) -> Blocks:
    """Number the batches of all blocks, some of which may be stored elsewhere.

    Parameters
    ----------
    groups : Groups
    stored : Stored
    counts : int64 array, shape (strata, user groups)
        Number of ratings of each block, in all places.
    batch_size : int
    is_weighted : bool
    """
    batches, sizes = _numbered(counts, batch_size)
    rows, firsts = groups.rows, groups.firsts
    return Blocks(groups.count, *rows, firsts, batches, sizes, stored, is_weighted)


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


def _numbered(counts: Counts, batch_size: int) -> tuple[Batches, NDArray[np.int32]]:
    """Cut the blocks into batches and number them; return also the size of each step.

    Parameters
    ----------
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
    return Batches(blocks, bounds, steps), sizes


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

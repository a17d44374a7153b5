"""Blocks of users, ranked and measured: on the threads of this process, or on a cluster."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from mfcli import model as models  # loads the kernels of rankings only when they are needed
from mfcli.clusters import Cluster
from mfcli.evaluation.measures import at_cutoff
from mfcli.rankings import GAP_TERMS, LIST_TERMS, USER_FORMULAS, ItemProperties, RankedHits
from mfcli.storage import each, threads_of
from mfcli.types import Counts, Doubles, Mask, Rows

if TYPE_CHECKING:
    from mfcli.model import Model, Rated, RatingPieces
    from mfcli.rankings import RelevantItems

WORK = "measuring rankings"
"""What this is, for errors."""

_BLOCK = 1 << 14  # users ranked at a time
_PART = 1 << 12  # users measured by a task
_PER_ITEM = 32  # numbers for each item beside its factors: properties, orders and marks
_PER_USER = 64  # bytes for each user of a range: its profile, and where its items begin
_RELEVANT = 64  # bytes of what is sent for each user: relevant items and their counts

Ranker: TypeAlias = Callable[[Rows], Rows]
"""Takes the rows of m users, and returns rows of items, shape (m, n), best first, -1 for none."""

Occurrences: TypeAlias = tuple[Rows, Counts]
"""Items, each once, and how often they occur."""


@dataclass(frozen=True)
class RankedUsers:
    """The users to rank for, or some consecutive ones of them.

    Attributes
    ----------
    liked : RelevantItems
    active : bool array, shape (n_users,)
        Whether the activity of each user is above the median of all.
    """

    liked: RelevantItems
    active: Mask

    def __len__(self) -> int:
        return len(self.active)

    def take(self, part: slice) -> RankedUsers:
        """Return some consecutive users."""
        return RankedUsers(self.liked.take(part), self.active[part])


@dataclass(frozen=True)
class RankedBlock:
    """What is measured for consecutive users, by ranker.

    Attributes
    ----------
    start : int
        Position of the first one.
    values : dict of float64 arrays, shape (names, m)
        In the order of `summed`.
    exposures, hits : dict of Occurrences
        How often items are recommended, and how often to users to whom they are relevant.
    """

    start: int
    values: dict[str, Doubles]
    exposures: dict[str, Occurrences]
    hits: dict[str, Occurrences]

    @property
    def users(self) -> int:
        return int(next(iter(self.values.values())).shape[1])


@dataclass(frozen=True)
class BlockMeasures:
    """Ranks items for users with a model and with baselines, and measures the rankings.

    Attributes
    ----------
    model : Model
    known, excluded : RatingPieces
        As in `RankingTask`.
    counts : int64 array, shape (n_items,)
        Training ratings of each item.
    training_users : int
        Users with training ratings.
    orders : mapping of int32 arrays
        Rows of items in the order of each baseline.
    cutoffs : sequence of int
    """

    model: Model
    known: RatingPieces
    excluded: RatingPieces
    counts: Counts
    training_users: int
    orders: Mapping[str, Rows]
    cutoffs: Sequence[int]

    def blocks(self, users: RankedUsers, nbytes: int, threads: int) -> Iterator[RankedBlock]:
        """Yield the measures of users, block by block.

        Parameters
        ----------
        users : RankedUsers
        nbytes : int
            Bytes of memory that the caller needs.
        threads : int
            Does not change the result.
        """
        for start, some, known, excluded in self._ranges(users.liked.users, nbytes):
            rankers = self._rankers(excluded, threads)
            profiles = self._items.profiles(known, some)
            for at in range(0, len(some), _BLOCK):
                block = slice(at, at + _BLOCK)
                # All rankers rank a block before the next one, so that progress is of users.
                ranked = {name: rank(some[block]) for name, rank in rankers.items()}
                yield self._measured(users, start + at, ranked, profiles[block], threads)

    def blocks_on(self, cluster: Cluster, users: RankedUsers) -> Iterator[RankedBlock]:
        """Yield the same measures from the workers of a cluster."""
        size = 8 * len(summed(self.cutoffs)) * (len(self.orders) + 1)  # bytes for a user
        parts = models.even_parts(len(users), size + _RELEVANT, cluster)
        nbytes = size * max(part.stop - part.start for part in parts)
        pieces = map(users.take, parts)
        found = models.map_shared(cluster, _blocks, self, pieces, nbytes=nbytes)
        for part, blocks in zip(parts, found, strict=True):
            yield from (replace(block, start=part.start + block.start) for block in blocks)

    @functools.cached_property
    def _items(self) -> ItemProperties:
        return ItemProperties.of(self.counts, self.training_users, self.model.item_factors)

    def _ranges(self, users: Rows, nbytes: int) -> Iterator[tuple[int, Rows, Rated, Rated]]:
        """Yield the first user of each range, all of its users, and what they know and exclude."""
        model, start = self.model, 0
        known = {"excluded": self.excluded}
        if self.known is not self.excluded:
            known["profile"] = self.known
        fixed = 4 * len(model.items) * (model.k + _PER_ITEM) + nbytes
        for part in models.user_ranges(users, known, fixed=fixed, each=_PER_USER, work=WORK):
            rated = {name: models.Rated.by(part.users, own) for name, own in part.known.items()}
            yield start, part.users, rated.get("profile", rated["excluded"]), rated["excluded"]
            start += len(part.users)

    def _rankers(self, excluded: Rated, threads: int) -> dict[str, Ranker]:
        model, n = self.model, max(self.cutoffs)
        static = partial(models.top_of_order, n=n, rated=excluded, threads=threads)
        return {
            "model": lambda users: (
                models.top_items(model, users, n, exclude=excluded, threads=threads).items
            ),
            **{name: partial(static, order) for name, order in self.orders.items()},
        }

    def _measured(
        self,
        users: RankedUsers,
        start: int,
        ranked: dict[str, Rows],
        profiles: Doubles,
        threads: int,
    ) -> RankedBlock:
        """Measure the rankings of a block of users, in parts on several threads."""
        shape = len(summed(self.cutoffs)), len(profiles)
        values = {name: np.empty(shape) for name in ranked}
        hits = {name: np.empty(items.shape, np.bool_) for name, items in ranked.items()}
        parts = [(name, at) for name in ranked for at in range(0, shape[1], _PART)]

        def measure(number: int) -> None:
            name, at = parts[number]
            part, items = slice(at, at + _PART), ranked[name][at : at + _PART]
            hits[name][part] = users.liked.hits(start + at, items)
            own = users.liked.counts[start + at : start + at + len(items)]
            active = users.active[start + at : start + at + len(items)]
            values[name][:, part] = self._values(
                items, hits[name][part], own, active, profiles[part]
            )

        each(measure, len(parts), threads)
        main = {name: items[:, : self.cutoffs[0]] for name, items in ranked.items()}
        exposures = {name: _occurrences(items[items >= 0]) for name, items in main.items()}
        found = {name: _occurrences(i[hits[name][:, : i.shape[1]]]) for name, i in main.items()}
        return RankedBlock(start, values, exposures, found)

    def _values(
        self, items: Rows, hits: Mask, relevant: Counts, active: Mask, profiles: Doubles
    ) -> list[Doubles]:
        """Return what is summed over users, in the order of `summed`, each of shape (m,)."""
        ranked = RankedHits(hits, relevant, max(self.cutoffs))
        values = [
            formula(ranked.up_to(cutoff))
            for cutoff in self.cutoffs
            for formula in USER_FORMULAS.values()
        ]
        ndcg = values[summed(self.cutoffs).index("ndcg")]
        values += [*self._items.terms(items[:, : self.cutoffs[0]], profiles)]
        return [*values, active, np.where(active, ndcg, 0.0)]


def _blocks(measures: BlockMeasures, users: RankedUsers) -> list[RankedBlock]:
    """Measure some users; on a worker."""
    return [*measures.blocks(users, 0, threads_of(None))]


def _occurrences(items: Rows) -> Occurrences:
    counts = np.bincount(items)
    distinct = np.flatnonzero(counts).astype(np.int32)
    return distinct, counts[distinct]


def means(cutoffs: Sequence[int]) -> list[str]:
    """Return the names of the measures that are means over users."""
    return [at_cutoff(name, n, cutoffs[0]) for n in cutoffs for name in USER_FORMULAS]


def summed(cutoffs: Sequence[int]) -> list[str]:
    """Return the names of what is summed over users."""
    return [*means(cutoffs), *LIST_TERMS, *GAP_TERMS]

"""The object that a worker holds in gradient descent: its ratings, and its rows of each model."""

from __future__ import annotations

import numpy as np

from mfcli.aligned import aligned
from mfcli.clusters import OBJECT, Peers
from mfcli.config import Config
from mfcli.data import Scale, counts_of
from mfcli.storage import Scratch, lasting_scratch, threads_of
from mfcli.training.distributed.parts import Limits, Parts
from mfcli.training.distributed.portions import (
    PLANES,
    WEIGHTS,
    EpochPart,
    HeldOut,
    Portion,
    ValidationPart,
)
from mfcli.training.distributed.routes import Route
from mfcli.training.sgd.blocks import Blocks, Groups, blocks_of, packed_blocks, places_of
from mfcli.types import Counts, Floats

TRAIN, HELD_OUT = "train", "held_out"
"""Names of parts."""

_PACKED = 16  # bytes of a packed rating, at most


class DescentWorker(Parts):
    """Ratings of some users, and the rows of some groups, of each member of an ensemble.

    Parameters
    ----------
    number : int
        Of the worker.
    limits : Limits
    route : Route
    """

    def __init__(self, number: int, limits: Limits, route: Route) -> None:
        super().__init__(limits)
        self._number, self._route, self._threads = number, route, threads_of(None)
        self._portions: dict[int, Portion] = {}
        self._blocks: Blocks | None = None
        self._held_out: HeldOut | None = None
        self._peers: Peers | None = None

    def pack(self) -> Counts:
        """Copy the training ratings to their blocks.

        Returns
        -------
        int64 array, shape (groups, owned)
            Number of ratings of each block, by stratum and user group.
        """
        train = self.parts[TRAIN]
        groups = Groups.of((train.users.counts, train.items.counts), self._route.groups)
        order = self._route.visiting_order(self._number)
        with self.limits.applied():
            self._stored, counts = packed_blocks(train, groups, order, self._space(len(train)))
        self._groups, self._is_weighted = groups, "weight" in train.types
        self.drop(TRAIN)
        return counts[:, self._route.owned(self._number)]

    def _space(self, ratings: int) -> Scratch | None:
        need = ratings * _PACKED
        is_small = need <= self.limits.share()
        return None if is_small else lasting_scratch(need, "training", in_order=True)

    def number_batches(self, counts: Counts, batch_size: int) -> None:
        """Number the batches of all blocks, given the ratings of each by stratum and user group."""
        self._blocks = blocks_of(
            self._groups, self._stored, counts, batch_size, is_weighted=self._is_weighted
        )

    def held_out_counts(self) -> Counts:
        """Return how many held-out ratings of its users each item has, by its place."""
        part = self.parts[HELD_OUT]
        counts = sum(counts_of(items, len(part.items)) for items in part.pieces("item"))
        of_items = np.zeros(len(part.items), np.int64) + counts
        return of_items[self._groups.rows[1]]

    def hold_out(self, item_counts: Counts, scale: Scale) -> None:
        """Prepare for validation, given how many held-out ratings each item has, by its place."""
        part, owned = self.parts[HELD_OUT], self._route.owned(self._number)
        rows, (users, items) = self._groups.rows, self._groups.firsts
        own, home = (slice(of[owned.start], of[owned.stop]) for of in (users, items))
        counts = sum(counts_of(users, len(part.users)) for users in part.pieces("user"))
        of_users = (np.zeros(len(part.users), np.int64) + counts)[rows[0][own]]
        places = places_of(rows[0]) - np.int32(own.start), places_of(rows[1])
        self._held_out = HeldOut(part, places, (of_users, item_counts[home]), scale)

    def add_member(self, member: int, config: Config, mu: float) -> None:
        """Add a model, whose rows are set later."""
        assert self._blocks is not None
        given = self._number, self._route, self._blocks, config, mu, self._threads
        self._portions[member] = Portion(*given)

    def set_rows(self, member: int, side: int, start: int, rows: Floats) -> None:
        """See `Portion.set_rows`."""
        self._portions[member].set_rows(side, start, rows)

    def rows(self, member: int, side: int, start: int, stop: int, whole: bool) -> Floats:
        """See `Portion.rows`; all planes are read if `whole`."""
        return self._portions[member].rows(side, start, stop, PLANES if whole else WEIGHTS)

    def meet(self, peers: Peers) -> None:
        """Take note of the other workers."""
        self._peers = peers

    def run_epoch(self, member: int, turn: int, epoch: int) -> EpochPart | None:
        """See `Portion.run_epoch`; item groups go to the worker before this one."""
        to = (self._number - 1) % self._route.workers

        def send(number: int, rows: list[Floats]) -> None:
            assert self._peers is not None
            self._peers.call(to, "take", member, turn, number, *parts_of(rows), lane="in")

        return self._portions[member].run_epoch(turn, epoch, send)

    def take(self, member: int, turn: int, number: int, *parts: list[Floats]) -> None:
        """See `Portion.take`."""
        self._portions[member].take(turn, number, *parts)

    def progress(self, member: int) -> int:
        """See `Portion.progress`."""
        return self._portions[member].progress()

    def stop(self, turn: int) -> None:
        """See `Portion.stop`."""
        for portion in self._portions.values():
            portion.stop(turn)

    def reset(self) -> None:
        """See `Portion.reset`."""
        for portion in self._portions.values():
            portion.reset()

    def validate(self, member: int, *weights: Floats) -> ValidationPart:
        """Measure the held-out ratings, given the weights of all items in pieces, by place."""
        held_out, at = self._held_out, 0
        assert held_out is not None
        items = aligned((sum(map(len, weights)), *weights[0].shape[1:]))
        for some in weights:
            items[at : at + len(some)] = some
            at += len(some)
        return self._portions[member].validate(held_out, items)


def parts_of(tables: list[Floats], size: int = OBJECT) -> list[list[Floats]]:
    """Divide tables of rows among objects of at most a size, or of one row; nothing is copied."""
    parts, left = list[list[Floats]](), 0
    for table in tables:
        rows = table
        while len(rows):
            if left < rows[:1].nbytes:
                parts.append([])
                left = size
            count = min(len(rows), max(left // rows[:1].nbytes, 1))
            parts[-1].append(rows[:count])
            left, rows = left - rows[:count].nbytes, rows[count:]
    return parts

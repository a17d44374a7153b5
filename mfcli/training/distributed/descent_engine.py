"""Gradient descent on a cluster, with the same bits as on one machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from mfcli.model import Model
from mfcli.storage import PermutedRows
from mfcli.training.distributed.descent_cluster import DescentCluster
from mfcli.training.engine import Losses, State, copy_state
from mfcli.training.plan import variant_of
from mfcli.training.sgd.blocks import places_of
from mfcli.training.sgd.descent import sgd_of, total_loss
from mfcli.training.sgd.exact_sums import unit_of_squares, value_of
from mfcli.training.sgd.rows import ITEM_ONE, USER_ONE, pack, unpack
from mfcli.types import Progress

T = TypeVar("T")

_COST = 50.0  # rows are fetched for a new start if that takes at most a fiftieth of the time


class DistributedDescent:
    """Trains a model on the workers of a cluster.

    After a loss, all workers get the rows of the last epoch that the driver has, and the epochs
    since then are run again, with the same result.

    Parameters
    ----------
    start : Model
    cluster : DescentCluster
    member : int
        Number of the model among those of the cluster.
    """

    def __init__(self, start: Model, cluster: DescentCluster, member: int) -> None:
        config = start.config
        self._start, self._cluster, self._member = start, cluster, member
        users, items = cluster.groups.rows
        self._places = places_of(users), places_of(items)
        made = sgd_of(config, 1), variant_of(config)
        self._common = (
            pack(start.user_factors, start.user_biases, users, USER_ONE, *made),
            pack(start.item_factors, start.item_biases, items, ITEM_ONE, *made),
        )
        self._common_epoch: int | None = None  # of these rows; known when the first epoch runs
        self._epoch = 0  # of the rows of the workers, as soon as `_common_epoch` is known
        self._generation = -1
        self._since, self._cost = time.perf_counter(), 0.0

    def run_epoch(self, epoch: int, on_progress: Progress) -> Losses:
        if self._common_epoch is None:
            self._common_epoch = self._epoch = epoch - 1
        losses = self._attempt(lambda: self._run_epoch(epoch, on_progress))
        self._epoch = epoch
        if time.perf_counter() - self._since > _COST * self._cost:
            self._attempt(self._fetch)
        return losses

    def _run_epoch(self, epoch: int, on_progress: Progress) -> Losses:
        cluster, config = self._cluster, self._start.config
        parts = cluster.run_epoch(self._member, epoch, on_progress)
        losses = np.concatenate([part.losses for part in parts], axis=1).reshape(-1, 3)
        idle = sum(
            float(np.concatenate([part.idle[side] for part in parts]).sum()) for side in (0, 1)
        )
        loss, squares = total_loss(losses, idle, config)
        return Losses(loss / cluster.ratings, squares / cluster.ratings)

    def validate(self) -> Losses | None:
        if not self._cluster.held_out:
            return None
        parts = self._attempt(lambda: self._cluster.validate(self._member))
        squares = np.concatenate([part.squares for part in parts])
        mse = value_of(squares, unit_of_squares(self._start.scale)) / self._cluster.held_out
        sides = [np.concatenate([part.penalties[side] for part in parts]) for side in (0, 1)]
        penalty = float(sides[0].sum()) + float(sides[1].sum())
        reg = self._start.config.table_regs["user_factors"]
        return Losses(mse + (reg * penalty if reg else penalty / self._cluster.held_out), mse)

    def model(self) -> Model:
        users, items = self._attempt(lambda: self._cluster.rows(self._member, whole=False))
        user_factors, user_biases = unpack(users, self._places[0], self._start.k, USER_ONE)
        item_factors, item_biases = unpack(items, self._places[1], self._start.k, ITEM_ONE)
        return self._start.with_tables(
            {
                "user_factors": user_factors,
                "item_factors": item_factors,
                "user_biases": user_biases,
                "item_biases": item_biases,
            }
        )

    def state(self) -> State:
        if self._common_epoch != self._epoch:
            self._attempt(self._fetch)
        return self._state()

    def _state(self) -> State:
        tables = zip(self._common, self._places, strict=True)
        users, items = (PermutedRows(rows, places) for rows, places in tables)
        return {"users": users, "items": items}

    def sides(self) -> dict[str, str]:
        return {"users": "users", "items": "items"}

    def restore(self, state: State) -> None:
        copy_state(state, self._state())
        self._common_epoch, self._epoch, self._generation = None, 0, -1

    # What the driver keeps for a new start

    def _fetch(self) -> None:
        begin = time.perf_counter()
        self._common = self._cluster.rows(self._member, whole=True)
        self._common_epoch, self._since = self._epoch, time.perf_counter()
        self._cost = self._since - begin

    def _attempt(self, action: Callable[[], T]) -> T:
        """Return the result of an action on the current rows; repeat it after a loss."""

        def current() -> T:
            self._catch_up()
            return action()

        return self._cluster.attempt(current)

    def _catch_up(self) -> None:
        """Give the rows to the workers if they lack them, and run the epochs since then again."""
        if self._generation == self._cluster.generation:
            return
        self._cluster.set_rows(self._member, self._common)
        for epoch in range((self._common_epoch or 0) + 1, self._epoch + 1):
            self._cluster.run_epoch(self._member, epoch, lambda done, total: None)
        self._generation = self._cluster.generation

"""Epochs of gradient descent over the blocks of some user groups.

The mathematics is in `kernels.py`, the order of the batches in `blocks.py`. One machine has all
user groups and all item groups. In a cluster, each worker has the rows of some user groups, and the
item groups that are with it at the moment (see `mfcli.training.distributed`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mfcli.config import Config
from mfcli.data import Scale
from mfcli.storage import each
from mfcli.training.plan import variant_of
from mfcli.training.schedules import rates, step_rates
from mfcli.training.sgd.blocks import Blocks
from mfcli.training.sgd.claims import Claims, make_claims
from mfcli.training.sgd.exact_sums import no_sums, unit_of_squares
from mfcli.training.sgd.generators import words_of
from mfcli.training.sgd.kernels import kernels_for
from mfcli.training.sgd.powers import make_costs, make_powers, quadratic
from mfcli.training.sgd.repeats import make_repeats
from mfcli.training.sgd.rows import (
    ITEM_ONE,
    USER_ONE,
    Sgd,
    Variant,
    change_rates,
    pack_regs,
    penalties_of,
)
from mfcli.training.sgd.shuffle import buffer_of
from mfcli.training.sgd.workers import run_workers
from mfcli.types import Counts, Doubles, Floats, Progress, Rows

_ROWS = 1 << 16  # rows that one task finishes
_PIECE = 1 << 16  # ratings in one task of the validation
_SQUARES = np.array([1.0, 0.0, 0.0, 0.0])  # the quadratic form that is the sum of squared weights
_ONES = USER_ONE, ITEM_ONE

Places = tuple[NDArray[np.int32], NDArray[np.int32]]
"""The place of each user, and of each item, in tables of rows."""


class Descent:
    """The rows of some user groups, those of item groups, and what an epoch does to them.

    Parameters
    ----------
    config : Config
    mu : float
    blocks : Blocks
        The ratings of blocks of other user groups need not be stored.
    rows : tuple of float32 arrays, shapes (n, planes, width)
        Of users and of items; trained in place.
    threads : int
        Does not change the result.
    owned : slice
        The user groups.
    firsts : int32 array, shape (2, groups), optional
        The first row of each group in `rows`, which may change between epochs, and for item
        groups before they arrive. By default, all groups are in `rows`, in order.

    Attributes
    ----------
    rows : tuple of float32 arrays
    busy : float64 array, shape (threads,)
        Seconds in which each thread trained in the last epoch; it waited in the others.
    """

    def __init__(
        self,
        config: Config,
        mu: float,
        blocks: Blocks,
        rows: tuple[Floats, Floats],
        threads: int,
        *,
        owned: slice | None = None,
        firsts: NDArray[np.int32] | None = None,
    ) -> None:
        self._config, self._mu, self._blocks, self.rows = config, np.float32(mu), blocks, rows
        self._owned = owned or slice(0, blocks.groups)
        self._is_part = owned is not None
        # A stratum has one block per group, so more workers would wait.
        self._workers = min(threads, len(range(*self._owned.indices(blocks.groups))))
        self._threads, self.busy = threads, np.zeros(self._workers)
        self._window = blocks.stored.window(self._workers)
        self._packed = self._window.packed
        if firsts is not None:
            self._packed = self._packed._replace(firsts=firsts)
        self._variant = variant_for(config, blocks)
        self._kernels = kernels_for(self._variant)
        self._regs = pack_regs(config.rating_regs, self._variant)
        self._sgd = sgd_of(config, 1)
        self._make_tables()
        # Each worker shuffles into its own buffer, which is reused for all of its blocks.
        kind = {"weighted": blocks.is_weighted, "wide": self._packed.form.is_wide}
        self._buffers = [buffer_of(blocks.longest, **kind) for _ in range(self._workers)]
        shape = self._variant, len(rows[0]), len(rows[1]), int(blocks.sizes.max())
        self._repeats = [make_repeats(*shape) for _ in range(self._workers)]

    def _make_tables(self) -> None:
        self._powers = make_powers(self._sgd, len(self._blocks.sizes))
        self._costs = make_costs(self._sgd, self._blocks.sizes)

    def prepare(self, epoch: int) -> None:
        """Adapt rows and tables from the rates of the previous epoch to those of this one.

        The rows may come from a checkpoint, so the previous rates are not those of the tables.
        """
        # Epoch 1 has no epoch before it: rows are packed with its own rates.
        before, now = (sgd_of(self._config, max(number, 1)) for number in (epoch - 1, epoch))
        if before != now and self._variant.velocity:
            for rows, one in zip(self.rows, _ONES, strict=True):
                change_rates(rows, one, before, now)
        if self._sgd != now:
            self._sgd = now
            self._make_tables()

    def claims(self) -> Claims:
        """Return the claims at the start of an epoch."""
        more_users = self._is_part or len(self.rows[0]) > len(self.rows[1])
        groups, order = self._blocks.groups, self._window.order
        return make_claims(groups, more_users, self._workers, order, self._owned)

    def train(
        self,
        epoch: int,
        claims: Claims,
        on_progress: Progress,
        pause: Callable[[], None] | None = None,
    ) -> Doubles:
        """Train on all blocks, each as soon as its rows are here.

        `pause` is that of `run_workers`.

        Returns
        -------
        float64 array, shape (groups^2, 3)
            See `Kernels.train`; the caller adds up the blocks in order, wherever they were
            trained on, so that the sum has the same bits.
        """
        losses = np.zeros((self._blocks.groups**2, 3))
        rates_of_steps = step_rates(self._config, epoch, len(self._blocks.sizes))
        words = words_of(self._config.seed, epoch)
        user_rows, item_rows = self.rows
        self.busy[:] = 0.0

        def train(worker: int) -> None:
            begin, before = time.perf_counter(), int(claims.ratings[worker, 0])
            self._kernels.train(
                self._packed, self._blocks.batches, claims, worker, words, self._buffers[worker],
                user_rows, item_rows, self._powers, self._costs.slopes, rates_of_steps, self._mu,
                self._regs, self._repeats[worker], losses,
            )  # fmt: skip
            if int(claims.ratings[worker, 0]) != before:
                self.busy[worker] += time.perf_counter() - begin

        more = {} if pause is None else {"pause": pause}
        run_workers(train, claims, self._blocks.ratings, on_progress, self._window.read, **more)
        return losses

    def finish(self, side: int, first: int, last: int) -> None:
        """Make the rows `first` to ``last - 1`` of a side current at the end of the epoch."""
        if not self._variant.velocity:  # all rows are current
            return
        rows, one, steps = self.rows[side], _ONES[side], len(self._blocks.sizes)

        def task(part: int) -> None:
            start = first + part * _ROWS
            self._kernels.finish_epoch(
                rows, start, min(start + _ROWS, last), one, steps, self._powers
            )

        each(task, -(-(last - first) // _ROWS), self._threads)

    def idle_costs(self, side: int, bounds: Counts) -> Doubles:
        """Return the penalty of the next epoch if all rows were idle, not multiplied by reg.

        It depends on the rows before the epoch.

        Parameters
        ----------
        side : {0, 1}
        bounds : int64 array, shape (n + 1,)
            Places of the first rows of groups of the side, and the end of the last one.

        Returns
        -------
        float64 array, shape (n,)
            By group.
        """
        return self._quadratic(side, bounds, self._costs.start)

    def squared_weights(self, side: int, bounds: Counts) -> Doubles:
        """Return the sum of the squared weights of groups; see `idle_costs`."""
        return self._quadratic(side, bounds, _SQUARES)

    def _quadratic(self, side: int, bounds: Counts, weights: Doubles) -> Doubles:
        rows = self.rows[side][bounds[0] : bounds[-1]]
        sums = np.empty(len(rows))
        quadratic(rows, _ONES[side], weights, sums)
        return sums_within(sums, bounds)

    def rating_penalties(self, side: int, bounds: Counts, counts: Counts) -> Doubles:
        """Return the penalty per rating of groups of rows, each counted some times.

        Parameters
        ----------
        side, bounds
            As for `idle_costs`.
        counts : int64 array, shape (rows,)
            How often each of these rows counts.
        """
        rows = self.rows[side][bounds[0] : bounds[-1]]
        return sums_within(penalties_of(rows, self._regs[side]) * counts, bounds)

    def squared_errors(
        self,
        pieces: Iterable[tuple[Rows, Rows, Floats]],
        places: Places,
        item_rows: Floats,
        scale: Scale,
    ) -> NDArray[np.int64]:
        """Return the sum of squared errors of ratings, as `exact_sums.py` describes it.

        Parameters
        ----------
        pieces : iterable of tuples
            Users, items and ratings.
        places : Places
            Of users in `rows`, and of items in `item_rows`.
        item_rows : float32 array, shape (n, planes, width)
        scale : Scale
            Of the ratings.
        """
        factor, sums = 2.0 ** -unit_of_squares(scale), no_sums(1)
        for user, item, rating in pieces:
            some = no_sums(-(-len(rating) // _PIECE))
            each(self._squares(user, item, rating, places, item_rows, factor, some),
                 len(some), self._threads)  # fmt: skip
            sums += some.sum(axis=0)
        return sums

    def _squares(
        self, user: Rows, item: Rows, rating: Floats, places: Places, item_rows: Floats,
        factor: float, sums: NDArray[np.int64],
    ) -> Callable[[int], None]:  # fmt: skip
        def task(number: int) -> None:
            part = slice(number * _PIECE, (number + 1) * _PIECE)
            self._kernels.squared_errors(
                user[part], item[part], rating[part], *places, self.rows[0], item_rows, self._mu,
                factor, sums[number : number + 1],
            )  # fmt: skip

        return task


def variant_for(config: Config, blocks: Blocks) -> Variant:
    """Return the variant of the kernels for blocks."""
    wide = blocks.stored.form.is_wide
    return variant_of(config, weighted=blocks.is_weighted, wide=wide)


def sgd_of(config: Config, epoch: int) -> Sgd:
    """Return the parameters of an epoch. All tables have one penalty."""
    return Sgd(*rates(config, epoch), config.table_regs["user_factors"], config.nesterov)


def total_loss(losses: Doubles, idle: float, config: Config) -> tuple[float, float]:
    """Return the sums, over all ratings, of the loss and of the squared errors of an epoch.

    Parameters
    ----------
    losses : float64 array, shape (groups^2, 3)
        Of all blocks; see `Kernels.train`.
    idle : float
        The penalty if all rows were idle, not multiplied by reg.
    config : Config
    """
    squares, weighted, change = map(float, losses.sum(axis=0))
    # The change of the penalty of tables lacks the factor reg, that of ratings contains it.
    reg = config.table_regs["user_factors"] or float(any(config.rating_regs.values()))
    return weighted + reg * (idle + change), squares


def sums_within(values: Doubles, bounds: Counts) -> Doubles:
    """Return the sum of the values of each group, so that it depends on the group alone."""
    first = int(bounds[0])
    parts = [values[start - first : end - first].sum() for start, end in pairwise(bounds.tolist())]
    return np.array(parts)

"""The fast engine: the SGD updates of Keras, computed only where a batch needs them.

The mathematics is in `kernels.py`, the order of the batches in `blocks.py`.
"""

from __future__ import annotations

import numpy as np

from mfcli.config import Config
from mfcli.data import Ratings
from mfcli.model import Model
from mfcli.storage import PermutedRows, each
from mfcli.training.engine import Losses, State, copy_state
from mfcli.training.held_out import squared_errors, sum_over
from mfcli.training.plan import variant_of
from mfcli.training.schedules import rates, step_rates
from mfcli.training.sgd.blocks import Blocks, places_of
from mfcli.training.sgd.claims import make_claims
from mfcli.training.sgd.generators import words_of
from mfcli.training.sgd.kernels import kernels_for
from mfcli.training.sgd.powers import make_costs, make_powers, quadratic
from mfcli.training.sgd.repeats import make_repeats
from mfcli.training.sgd.rows import (
    ITEM_ONE,
    USER_ONE,
    Sgd,
    change_rates,
    pack,
    pack_regs,
    row_penalties,
    unpack,
)
from mfcli.training.sgd.shuffle import buffer_of
from mfcli.training.sgd.workers import run_workers
from mfcli.types import Doubles, Floats, Progress, Rows

_ROWS = 1 << 16  # rows that one task finishes
_SQUARES = np.array([1.0, 0.0, 0.0, 0.0])  # the quadratic form that is the sum of squared weights


class FastEngine:
    """Trains with the compiled kernels.

    Parameters
    ----------
    start : Model
        Its tables are copied. All tables have the same penalty, except for penalties per rating.
    blocks : Blocks
        The training ratings.
    held_out : Ratings, optional
        To validate on.
    threads : int
        Does not change the result.

    Raises
    ------
    ConfigError
        If the kernels cannot train with the config.
    """

    def __init__(
        self, start: Model, blocks: Blocks, held_out: Ratings | None, threads: int
    ) -> None:
        config = start.config
        self._start, self._blocks, self._threads = start, blocks, threads
        # A stratum has one block per group, so more workers would wait.
        self._workers = min(threads, blocks.groups)
        self._window = blocks.stored.window(self._workers)
        kind = {"weighted": blocks.is_weighted, "wide": self._window.packed.form.is_wide}
        self._variant = variant_of(config, **kind)
        self._kernels = kernels_for(self._variant)
        self._sgd = _sgd(config, 1)
        self._make_tables()
        self._regs = pack_regs(config.rating_regs, self._variant)
        # Rows are in the order of `Blocks`; what enters and leaves the engine is not.
        self._places = places_of(blocks.users), places_of(blocks.items)
        made = self._sgd, self._variant
        self._users = pack(start.user_factors, start.user_biases, blocks.users, USER_ONE, *made)
        self._items = pack(start.item_factors, start.item_biases, blocks.items, ITEM_ONE, *made)
        self._held_out = held_out
        # Each worker shuffles into its own buffer, which is reused for all of its blocks.
        self._buffers = [buffer_of(blocks.longest, **kind) for _ in range(self._workers)]
        shape = self._variant, len(start.users), len(start.items), int(blocks.sizes.max())
        self._repeats = [make_repeats(*shape) for _ in range(self._workers)]

    def run_epoch(self, epoch: int, on_progress: Progress) -> Losses:
        self._prepare(epoch)
        steps, ratings = len(self._blocks.sizes), self._blocks.ratings
        # The penalty if all rows were idle depends on the rows before the epoch, so it comes first.
        idle = self._quadratic(self._costs.start) if self._sgd.reg else 0.0
        losses = np.zeros((steps, 3))
        rates_of_steps = step_rates(self._start.config, epoch, steps)
        words = words_of(self._start.config.seed, epoch)
        more_users = len(self._start.users) > len(self._start.items)
        window = self._window
        claims = make_claims(self._blocks.groups, more_users, self._workers, window.order)

        def train(worker: int) -> None:
            self._kernels.train(
                window.packed, self._blocks.batches, claims, worker, words, self._buffers[worker],
                self._users, self._items, self._powers, self._costs.slopes, rates_of_steps,
                np.float32(self._start.mu), self._regs, self._repeats[worker], losses,
            )  # fmt: skip

        run_workers(train, claims, ratings, on_progress, window.read)
        if self._variant.velocity:  # without, all rows are current
            self._finish(self._users, USER_ONE)
            self._finish(self._items, ITEM_ONE)
        # Steps are added in their order, whatever thread ran them, so the sum has the same bits.
        squares, weighted, change = map(float, losses.sum(axis=0))
        # the change of the penalty of tables lacks the factor reg, that of ratings contains it
        reg = self._sgd.reg or float(self._variant.rating_reg)
        return Losses((weighted + reg * (idle + change)) / ratings, squares / ratings)

    def validate(self) -> Losses | None:
        if self._held_out is None:
            return None
        mse = squared_errors(self._held_out, self._squares, self._threads) / len(self._held_out)
        return Losses(mse + self._penalty(self._held_out), mse)

    def _squares(self, user: Rows, item: Rows, rating: Floats, out: Doubles) -> None:
        """Set ``out[0]`` to the sum of the squared errors of some ratings."""
        self._kernels.squared_errors(
            user, item, rating, *self._places, self._users, self._items,
            np.float32(self._start.mu), out,
        )  # fmt: skip

    def model(self) -> Model:
        user_places, item_places = self._places
        user_factors, user_biases = unpack(self._users, user_places, self._start.k, USER_ONE)
        item_factors, item_biases = unpack(self._items, item_places, self._start.k, ITEM_ONE)
        return self._start.with_tables(
            {
                "user_factors": user_factors,
                "item_factors": item_factors,
                "user_biases": user_biases,
                "item_biases": item_biases,
            }
        )

    def state(self) -> State:
        user_places, item_places = self._places
        users, items = (
            PermutedRows(self._users, user_places),
            PermutedRows(self._items, item_places),
        )
        return {"users": users, "items": items}

    def sides(self) -> dict[str, str]:
        return {"users": "users", "items": "items"}

    def restore(self, state: State) -> None:
        copy_state(state, self.state())

    def _make_tables(self) -> None:
        self._powers = make_powers(self._sgd, len(self._blocks.sizes))
        self._costs = make_costs(self._sgd, self._blocks.sizes)

    def _prepare(self, epoch: int) -> None:
        """Adapt rows and tables from the rates of the previous epoch to those of this one.

        The rows may come from a checkpoint, so the previous rates are not those of the tables.
        """
        # Epoch 1 has no epoch before it: rows are packed with its own rates.
        before, now = (_sgd(self._start.config, max(number, 1)) for number in (epoch - 1, epoch))
        if before != now and self._variant.velocity:
            change_rates(self._users, USER_ONE, before, now)
            change_rates(self._items, ITEM_ONE, before, now)
        if self._sgd != now:
            self._sgd = now
            self._make_tables()

    def _finish(self, rows: Floats, one: int) -> None:
        """Make all rows of one side current at the end of the epoch."""

        def task(part: int) -> None:
            first, last = part * _ROWS, min((part + 1) * _ROWS, len(rows))
            self._kernels.finish_epoch(
                rows, first, last, one, len(self._blocks.sizes), self._powers
            )

        each(task, -(-len(rows) // _ROWS), self._threads)

    def _penalty(self, held_out: Ratings) -> float:
        """Return the penalty in the loss of the held-out ratings."""
        if self._sgd.reg:
            return self._sgd.reg * self._quadratic(_SQUARES)
        if not self._variant.rating_reg:
            return 0.0
        sides = zip((self._users, self._items), self._places, self._regs, strict=True)
        users, items = (row_penalties(*side) for side in sides)
        total = sum_over(users, held_out.user) + sum_over(items, held_out.item)
        return total / len(held_out)

    def _quadratic(self, weights: Doubles) -> float:
        """Return the sum of a quadratic form over the rows of both sides."""
        total = 0.0
        sides = ((self._users, USER_ONE), (self._items, ITEM_ONE))
        for (rows, one), places in zip(sides, self._places, strict=True):
            sums = np.empty(len(rows))
            quadratic(rows, one, weights, sums)
            total += float(sums[places].sum())
        return total


def _sgd(config: Config, epoch: int) -> Sgd:
    """Return the parameters of an epoch. All tables have one penalty."""
    return Sgd(*rates(config, epoch), config.table_regs["user_factors"], config.nesterov)

"""The fast engine: Keras's updates of SGD, made only where a batch needs them.

The mathematics is in `kernels.py`, the order of the batches in `blocks.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfcli.data import Ratings
from mfcli.errors import ConfigError
from mfcli.model import TABLES, Model
from mfcli.storage import each
from mfcli.training.engines import Losses, Progress, take_over
from mfcli.training.schedules import pace, step_rates
from mfcli.training.sgd.blocks import Block, Blocks, records
from mfcli.training.sgd.kernels import (
    CHUNK,
    ITEM_ONE,
    RATING,
    USER_ONE,
    Descent,
    Doubles,
    Floats,
    Powers,
    change_pace,
    kernels_for,
    kind_of,
    make_costs,
    make_powers,
    pack,
    pack_regs,
    shared_kernels,
    unpack,
)
from mfcli.training.sgd.workers import Advance, run_blocks

_NONE = dict.fromkeys(TABLES, 0.0)
_PIECE = 1 << 24  # values of rows touched between two looks at Ctrl-C: some 20 ms
_ROWS = 1 << 16  # rows brought up to date by one task
_SQUARES = np.array([1.0, 0.0, 0.0, 0.0])  # the quadratic form that is the sum of squared weights


class FastEngine:
    """Trains with the compiled kernels.

    Parameters
    ----------
    start : Model
        Its tables are copied.
    blocks : Blocks
        Of the training ratings.
    held_out : Ratings
        To validate on.
    threads : int
        Does not change the result.

    Raises
    ------
    ConfigError
        If there is no closed form for the config.
    """

    def __init__(self, start: Model, blocks: Blocks, held_out: Ratings, threads: int) -> None:
        config = start.config
        self._start, self._blocks, self._threads = start, blocks, threads
        reg, kind = config.table_regs["user_factors"], kind_of(config)  # one for all tables
        self._descent = Descent(*pace(config, 1), reg, config.nesterov)
        self._kernels = kernels_for(config.k, kind.penalised, kind.nesterov, kind.rated)
        self._regs = pack_regs(config.rating_regs, kind) if kind.rated else pack_regs(_NONE, kind)
        self._rated = kind.rated
        self._make_tables()
        self._users = pack(start.user_factors, start.user_biases, USER_ONE, self._descent)
        self._items = pack(start.item_factors, start.item_biases, ITEM_ONE, self._descent)
        self._held_out = records(held_out)
        values = self._users[0].size + self._items[0].size  # of the rows that a rating touches
        self._piece = max(1, _PIECE // values // config.batch_size)  # batches
        self._workers = min(threads, blocks.groups)
        self._buffers = [np.empty(blocks.longest, RATING) for _ in range(self._workers)]

    def _make_tables(self) -> None:
        self._powers = _powers(self._descent, len(self._blocks.sizes))
        self._costs = make_costs(self._descent, self._blocks.sizes)

    def _keep_pace(self, epoch: int) -> None:
        """Turn rows of the epoch before to the rate and the momentum of this one."""
        before, now = (
            self._descent._replace(rate=lr, momentum=momentum)
            for lr, momentum in (pace(self._start.config, max(e, 1)) for e in (epoch - 1, epoch))
        )
        if before != now:
            change_pace(self._users, USER_ONE, before, now)
            change_pace(self._items, ITEM_ONE, before, now)
        if self._descent != now:
            self._descent = now
            self._make_tables()

    def run_epoch(self, epoch: int, on_progress: Progress) -> Losses:
        self._keep_pace(epoch)
        reg, ratings = self._descent.reg or float(self._rated), self._blocks.ratings
        at_rest = self._quadratic(self._costs.start) if self._descent.reg else 0.0
        losses = np.zeros((len(self._blocks.sizes), 2))
        rates = step_rates(self._start.config, epoch, len(losses))

        def learn(block: Block, worker: int, advance: Advance) -> None:
            self._learn(block, worker, epoch, rates, losses, advance)

        run_blocks(self._blocks, learn, self._workers, on_progress)
        self._finish(self._users, USER_ONE)
        self._finish(self._items, ITEM_ONE)
        squares, moved = map(float, losses.sum(axis=0))
        return Losses((squares + reg * (at_rest + moved)) / ratings, squares / ratings)

    def validate(self) -> Losses:
        chunks = -(-len(self._held_out) // CHUNK)
        sums = np.zeros(chunks)
        mu = np.float32(self._start.mu)

        def task(chunk: int) -> None:
            self._kernels.squared_errors(
                self._held_out, chunk, chunk + 1, self._users, self._items, mu, sums
            )

        each(task, chunks, self._threads)
        mse = float(sums.sum()) / len(self._held_out)
        return Losses(mse + self._penalty(), mse)

    def _penalty(self) -> float:
        """Return what is added to the mean squared error of the held-out ratings."""
        if self._descent.reg:
            return self._descent.reg * self._quadratic(_SQUARES)
        if not self._rated:
            return 0.0
        total = 0.0
        sides = ((self._users, "user"), (self._items, "item"))
        for regs, (rows, name) in zip(self._regs, sides, strict=True):
            of_row = np.square(rows[:, 0], dtype=np.float64) @ regs.astype(np.float64)
            total += float(of_row[self._held_out[name]].sum())
        return total / len(self._held_out)

    def model(self) -> Model:
        user_factors, user_biases = unpack(self._users, self._start.k, USER_ONE)
        item_factors, item_biases = unpack(self._items, self._start.k, ITEM_ONE)
        return self._start.with_tables(
            {
                "user_factors": user_factors,
                "item_factors": item_factors,
                "user_biases": user_biases,
                "item_biases": item_biases,
            }
        )

    def state(self) -> dict[str, NDArray[Any]]:
        return {"users": self._users, "items": self._items}

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        take_over(self.state(), state)

    def _learn(
        self,
        block: Block,
        worker: int,
        epoch: int,
        rates: Doubles,
        losses: Doubles,
        advance: Advance,
    ) -> None:
        """Shuffle a block while it is in the cache, and train on it piece by piece."""
        order = block.shuffle(self._buffers[worker], self._start.config.seed, epoch)
        bounds, piece = block.bounds, self._piece
        for first in range(0, len(block.steps), piece):
            last = min(first + piece, len(block.steps))
            self._kernels.run_batches(
                order, first, last, block.steps, bounds, self._users, self._items,
                self._powers, self._costs.slopes, rates,
                np.float32(self._start.mu), self._regs, losses,
            )  # fmt: skip
            advance(int(bounds[last] - bounds[first]))

    def _finish(self, rows: Floats, one: int) -> None:
        """Bring all rows of a side to the end of the epoch."""

        def task(part: int) -> None:
            first, last = part * _ROWS, min((part + 1) * _ROWS, len(rows))
            self._kernels.finish_epoch(
                rows, first, last, one, len(self._blocks.sizes), self._powers
            )

        each(task, -(-len(rows) // _ROWS), self._threads)

    def _quadratic(self, weights: Doubles) -> float:
        """Sum a quadratic form over the rows of both sides; see `kernels.make_costs`."""
        total = 0.0
        for rows, one in ((self._users, USER_ONE), (self._items, ITEM_ONE)):
            sums = np.empty(len(rows))
            shared_kernels().penalty_at_rest(rows, one, weights, sums)
            total += float(sums.sum())
        return total


def _powers(descent: Descent, steps: int) -> Powers:
    try:
        return make_powers(descent, steps)
    except ValueError as error:
        raise ConfigError(f"{error} Change reg or lr a little, or use --engine keras") from error

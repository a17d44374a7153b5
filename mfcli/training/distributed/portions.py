"""What a worker does in gradient descent: epochs on its users, with item groups that travel."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mfcli.aligned import aligned
from mfcli.config import Config
from mfcli.data import Scale
from mfcli.training.distributed.parts import Part
from mfcli.training.distributed.routes import Chunk, Route
from mfcli.training.sgd.blocks import Blocks
from mfcli.training.sgd.claims import Claims, arrive, look_up
from mfcli.training.sgd.descent import Descent, Places, variant_for
from mfcli.types import Counts, Doubles, Floats

_LEAVING = 5e-3  # seconds, at most, between two looks at whether item groups can leave
_READY = 1e-3  # seconds, at most, between two looks of a thread at whether a block is ready

PLANES = slice(None)
WEIGHTS = slice(0, 1)
"""What is read of rows: everything, or the weights."""


class EpochPart(NamedTuple):
    """What one worker contributes to the losses of an epoch.

    Attributes
    ----------
    losses : float64 array, shape (groups, owned, 3)
        By stratum and user group, see `Descent.train`.
    idle : tuple of float64 arrays, shape (owned,)
        See `Descent.idle_costs`, of user groups and of the item groups of its home; zeros without
        a penalty of tables.
    computing : float
        Seconds in which threads trained, of the one that trained longest.
    sent : int
        Bytes of item rows that left.
    """

    losses: Doubles
    idle: tuple[Doubles, Doubles]
    computing: float
    sent: int


class ValidationPart(NamedTuple):
    """What one worker contributes to the losses of held-out ratings.

    Attributes
    ----------
    squares : int64 array, shape (1, 5)
        See `Descent.squared_errors`.
    penalties : tuple of float64 arrays, shape (owned,)
        Of user groups and of the item groups of its home, not multiplied by the penalty of tables.
    """

    squares: NDArray[np.int64]
    penalties: tuple[Doubles, Doubles]


class HeldOut(NamedTuple):
    """The held-out ratings of the users of a worker.

    Attributes
    ----------
    part : Part
    places : Places
        The row of each user of this worker, and the place of each item among all.
    counts : tuple of int64 arrays
        How many held-out ratings each user of this worker has, and each item of its home, over all
        workers; in the order of the rows.
    scale : Scale
    """

    part: Part
    places: Places
    counts: tuple[Counts, Counts]
    scale: Scale


class Portion:
    """The rows of a worker, of one model.

    Parameters
    ----------
    worker : int
    route : Route
    blocks : Blocks
        The ratings of the user groups of the worker.
    config : Config
    mu : float
    threads : int
    """

    def __init__(
        self, worker: int, route: Route, blocks: Blocks, config: Config, mu: float, threads: int
    ) -> None:
        self._worker, self._route, self._config = worker, route, config
        owned = self._owned = route.owned(worker)
        self._home = range(owned.start, owned.stop)
        users, items = blocks.firsts
        self._bounds = users[owned.start : owned.stop + 1] - users[owned.start]
        self._sizes = np.diff(items)
        variant = variant_for(config, blocks)
        shape = variant.stride // variant.width, variant.width
        firsts = np.zeros((2, blocks.groups), np.int32)
        firsts[0, owned] = self._bounds[:-1]
        self._first, self._slot = firsts[1], int(self._sizes.max())
        slots = route.slots(worker)
        rows = (
            aligned((int(self._bounds[-1]), *shape)),
            aligned((slots * self._slot, *shape)),
        )
        self._descent = Descent(config, mu, blocks, rows, threads, owned=owned, firsts=firsts)
        self._changed = threading.Condition()
        self._claims: Claims | None = None
        self._turn, self._stopped, self._taken, self._sent = 0, 0, 0, 0
        self._failure: BaseException | None = None
        self._free = list[int]()
        self.reset()

    # Rows that come from the driver, and go there, between two epochs

    def set_rows(self, side: int, start: int, rows: Floats) -> None:
        """Set rows of its users (0) or of the items of its home (1), from one on."""
        for mine, given in self._parts(side, start, start + len(rows)):
            mine[:] = rows[given]

    def rows(self, side: int, start: int, stop: int, planes: slice) -> Floats:
        """Return a copy of some of these rows; `planes` is `PLANES` or `WEIGHTS`."""
        parts = [mine[:, planes] for mine, _ in self._parts(side, start, stop)]
        return np.concatenate(parts)

    def _parts(self, side: int, start: int, stop: int) -> Iterator[tuple[Floats, slice]]:
        """Yield views of consecutive rows, and where they are among all that are asked for."""
        users, items = self._descent.rows
        if side == 0:
            yield users[start:stop], slice(0, stop - start)
            return
        before = 0
        for group in self._home:
            size = int(self._sizes[group])
            low, high = max(start - before, 0), min(stop - before, size)
            if low < high:
                first, at = int(self._first[group]), before + low - start
                yield items[first + low : first + high], slice(at, at + high - low)
            before += size

    # An epoch: `take` runs at the same time as `run_epoch`

    def run_epoch(
        self, turn: int, epoch: int, send: Callable[[int, list[Floats]], None]
    ) -> EpochPart | None:
        """Train on all blocks of the user groups.

        Parameters
        ----------
        turn : int
            Of all epochs that are run, also those that are repeated.
        epoch : int
        send : callable
            Sends the rows of the groups of a chunk, given its number among those that leave.

        Returns
        -------
        EpochPart
            None if the turn was stopped.
        """
        descent = self._descent
        with np.errstate(all="ignore"), ThreadPoolExecutor(1) as pool:
            descent.prepare(epoch)  # rows of a training that diverges may overflow
            idle = self._idle()
            claims = descent.claims()
            with self._changed:
                if turn <= self._stopped:
                    return None
                self._claims, self._turn, self._failure = claims, turn, None
                self._taken, self._sent = 0, 0
                self._changed.notify_all()
            leaving = pool.submit(self._give, turn, send)
            losses = descent.train(epoch, claims, lambda done, total: None, self._pause)
            leaving.result()
            if not self._has_taken_all(turn):
                return None
            self._finish()
        groups = self._route.groups
        of_blocks = losses.reshape(groups, groups, 3)[:, self._owned]
        return EpochPart(of_blocks, idle, float(descent.busy.max()), self._sent)

    def _has_taken_all(self, turn: int) -> bool:
        """Wait for all chunks; return whether the turn was not stopped."""
        moves = len(self._route.arrivals(self._worker))
        with self._changed:
            self._wait(turn, lambda: self._taken == moves or self._failure is not None)
            if self._failure is not None:
                raise self._failure
            return turn > self._stopped

    def _give(self, turn: int, send: Callable[[int, list[Floats]], None]) -> None:
        """Send each chunk as soon as it can leave."""
        try:
            for number, chunk in enumerate(self._route.departures(self._worker)):
                if not self._can_leave(turn, chunk):
                    return
                views = self._views(chunk)
                send(number, views)
                self._sent += sum(view.nbytes for view in views)
                with self._changed:
                    self._free += self._first[chunk.first : chunk.end].tolist()
                    self._changed.notify_all()
        except BaseException:
            self.stop(turn)  # the threads that train, which would wait forever
            raise

    def _can_leave(self, turn: int, chunk: Chunk) -> bool:
        """Wait until all is done with a chunk; return False if the turn is stopped."""
        least = self._route.strata_before_leaving(self._worker, chunk)
        done = np.zeros(1, np.int64)
        with self._changed:
            while turn > self._stopped:
                assert self._claims is not None
                look_up(self._claims, self._owned.start, done)
                if done[0] >= least:
                    return True
                self._changed.wait(_LEAVING)
        return False

    def take(self, turn: int, number: int, *parts: list[Floats]) -> None:
        """Copy the rows of a chunk that has come, as soon as there is space."""
        try:
            chunk = self._route.arrivals(self._worker)[number]
            with self._changed:
                has_space = self._wait(
                    turn, lambda: self._turn == turn and len(self._free) >= len(chunk)
                )
            if not has_space:
                return
            self._add(chunk, [rows for part in parts for rows in part])
        except BaseException as error:  # the sender does not wait for it
            with self._changed:
                self._failure = error
            self.stop(turn)
            raise
        with self._changed:
            self._taken += 1
            self._changed.notify_all()

    def _pause(self) -> None:
        """Wait for item groups; those that can leave do so now, because all is done with them."""
        with self._changed:
            self._changed.notify_all()
            self._changed.wait(_READY)

    def progress(self) -> int:
        """Return the number of ratings done in this epoch."""
        return int(self._claims.ratings.sum()) if self._claims else 0

    def stop(self, turn: int) -> None:
        """End the methods of all turns up to one soon, also those that have not begun."""
        with self._changed:
            self._stopped = turn
            if self._claims:
                self._claims.stop[0] = 1
            self._changed.notify_all()

    def reset(self) -> None:
        """Make room for the item groups of the home, whose rows are set next."""
        slots = self._route.slots(self._worker)
        self._free = [n * self._slot for n in range(slots)]
        for group in self._home:
            self._first[group] = self._free.pop()

    def _wait(self, turn: int, condition: Callable[[], bool]) -> bool:
        """Wait until a condition holds, and return True; False if the turn is stopped.

        The lock is held.
        """
        while turn > self._stopped and not condition():
            self._changed.wait()
        return turn > self._stopped

    def _views(self, chunk: Chunk) -> list[Floats]:
        """Return the rows of the groups of a chunk."""
        items, groups = self._descent.rows[1], range(chunk.first, chunk.end)
        bounds = ((int(self._first[n]), int(self._sizes[n])) for n in groups)
        return [items[first : first + size] for first, size in bounds]

    def _add(self, chunk: Chunk, pieces: list[Floats]) -> None:
        """Copy the rows of a chunk to free slots; each piece is of one group, or a part of it."""
        items, coming = self._descent.rows[1], iter(pieces)
        assert self._claims is not None
        for group in range(chunk.first, chunk.end):
            with self._changed:
                first = self._free.pop()
            done, size = 0, int(self._sizes[group])
            while done < size:
                rows = next(coming)
                items[first + done : first + done + len(rows)] = rows
                done += len(rows)
            self._first[group] = first
            arrive(self._claims, group, self._route.strata_at_arrival(self._worker, group))

    def _idle(self) -> tuple[Doubles, Doubles]:
        if not self._config.table_regs["user_factors"]:
            return np.zeros(len(self._home)), np.zeros(len(self._home))
        costs = [self._descent.idle_costs(1, bounds) for bounds in self._home_bounds()]
        return self._descent.idle_costs(0, self._bounds), np.concatenate(costs)

    def _home_bounds(self) -> Iterator[Counts]:
        for group in self._home:
            first = int(self._first[group])
            yield np.array([first, first + self._sizes[group]])

    def _finish(self) -> None:
        self._descent.finish(0, 0, len(self._descent.rows[0]))
        for first, end in self._home_bounds():
            self._descent.finish(1, int(first), int(end))

    # Validation

    def validate(self, held_out: HeldOut, item_rows: Floats) -> ValidationPart:
        """Measure held-out ratings, given the weights of all items in the order of their places."""
        columns = (held_out.part.pieces(name) for name in ("user", "item", "rating"))
        pieces = zip(*columns, strict=True)
        squares = self._descent.squared_errors(pieces, held_out.places, item_rows, held_out.scale)
        return ValidationPart(squares, self._penalties(held_out.counts))

    def _penalties(self, counts: Sequence[Counts]) -> tuple[Doubles, Doubles]:
        descent, config = self._descent, self._config
        if config.table_regs["user_factors"]:
            items = [descent.squared_weights(1, bounds) for bounds in self._home_bounds()]
            return descent.squared_weights(0, self._bounds), np.concatenate(items)
        if not any(config.rating_regs.values()):
            return np.zeros(len(self._home)), np.zeros(len(self._home))
        items, before = [], 0
        for bounds in self._home_bounds():
            of_group = counts[1][before : before + int(bounds[1] - bounds[0])]
            items.append(descent.rating_penalties(1, bounds, of_group))
            before += len(of_group)
        users = descent.rating_penalties(0, self._bounds, counts[0])
        return users, np.concatenate(items)

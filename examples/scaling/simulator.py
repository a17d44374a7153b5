"""Simulates an epoch of gradient descent on a cluster.

All workers have the same number of threads, groups and ratings, so that they do the same at the
same time, and one of them is simulated: what comes to it is what it has sent itself. Its blocks run
in the order of `mfcli.training.sgd.claims`, and item groups leave and arrive as `Route` says, in
messages from worker to worker. The driver only starts an epoch, one worker after another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mfcli.training.distributed.routes import Route
from mfcli.training.sgd.claims import STRATA
from scaling.clock import Clock

THREAD_PAUSE = 1e-3  # seconds between two looks of a thread without a ready block
LEAVING_PAUSE = 5e-3  # seconds between two looks at whether item groups can leave
COPIES = 3  # of rows that travel: two by the worker that sends them, one by the one that gets them


class Costs(NamedTuple):
    """What things cost.

    Attributes
    ----------
    rating : float
        Seconds for a rating, of a thread while all processors of a machine train.
    call : float
        Seconds of the driver to start a worker.
    work : float
        Seconds of processors for a message between workers.
    message : float
        Seconds from the moment when a message can be sent to its start.
    copy : float
        Bytes per second through the object store within a machine, all copies included.
    look : float
        Seconds of a processor for a look at whether something is ready.
    """

    rating: float
    call: float
    work: float
    message: float
    copy: float
    look: float = 0.0


@dataclass(frozen=True)
class Team:
    """Workers, as many on each machine.

    Attributes
    ----------
    workers : int
    each : int
        Threads of each worker.
    machines : int
    cores : int
        Of each machine.
    bandwidth : float
        Bytes per second from a machine to another, in each direction.
    latency : float
        Seconds of the network.
    """

    workers: int
    each: int
    machines: int
    cores: int
    bandwidth: float = float("inf")
    latency: float = 0.0

    @property
    def threads(self) -> tuple[int, ...]:
        """Threads of each worker, as in `Cluster`."""
        return (self.each,) * self.workers

    def __len__(self) -> int:
        return self.workers


class Simulated(NamedTuple):
    """An epoch.

    Attributes
    ----------
    seconds : float
    computing : float
        Seconds in which the busiest thread trained, as in `history.json`.
    waiting : float
        The other seconds.
    travelled : int
        Bytes that all workers sent.
    """

    seconds: float
    computing: float
    waiting: float
    travelled: int


def simulate(route: Route, team: Team, ratings: int, group_bytes: float, costs: Costs) -> Simulated:
    """Simulate an epoch.

    Parameters
    ----------
    route : Route
        Each worker must own as many groups as the others.
    team : Team
    ratings : int
        Of all workers.
    group_bytes : float
        Of the rows of an item group.
    costs : Costs
    """
    assert route.groups % route.workers == 0
    worker = _Worker(route, team, ratings * costs.rating / route.groups**2, group_bytes, costs)
    worker.clock.run()
    assert worker.is_done
    seconds = worker.clock.now + costs.message  # of the result
    computing = float(worker.busy.max())
    return Simulated(seconds, computing, seconds - computing, round(worker.sent * route.workers))


class _Worker:
    def __init__(
        self, route: Route, team: Team, block: float, group_bytes: float, costs: Costs
    ) -> None:
        self.clock = Clock(team.cores * team.machines / team.workers)
        self._route, self._team, self._block, self._costs = route, team, block, costs
        self._group_bytes = group_bytes
        self._departures, self._arrivals = route.departures(0), route.arrivals(0)
        owned = route.bounds[1]
        self._users = np.arange(owned)
        self._done, self._claimed = np.zeros(owned, np.int64), np.zeros(owned, bool)
        self._items = np.full(route.groups, -1, np.int64)  # strata that they have done; -1: absent
        self._items[:owned] = 0
        self._free = route.slots(0) - owned
        self._idle = list(range(min(team.each, owned)))
        self.busy, self.sent = np.zeros(len(self._idle)), 0.0
        self._link_is_free = 0.0
        # What has left and come, and whether the next chunk waits to leave, or was found to come.
        self._given, self._taken, self._come = 0, 0, 0
        self._is_giving = self._is_called = self._is_taking = False
        self.clock.at(team.workers * costs.call + costs.message, self._begin)

    def _begin(self) -> None:
        self._look(len(self._idle), THREAD_PAUSE)
        self._wake()
        self._wait_to_give()

    @property
    def is_done(self) -> bool:
        """Whether all blocks are done, and all item groups are at home."""
        moves = len(self._departures)
        return self._given == self._taken == moves and bool(
            (self._done == self._route.groups).all()
        )

    # Threads

    def _is_ready(self, users: np.ndarray) -> np.ndarray:
        strata, groups = self._done[users], self._route.groups
        return (strata < groups) & (self._items[(users + strata) % groups] == strata)

    def _wake(self) -> None:
        """Let idle threads claim groups: the last one of the earliest strata first."""
        while self._idle:
            ready = self._users[~self._claimed & self._is_ready(self._users)]
            if not len(ready):
                return
            bands = self._done[ready] // STRATA
            user = int(ready[bands == bands.min()][-1])
            self._claimed[user] = True
            self._look(-1, THREAD_PAUSE)
            self._train(self._idle.pop(0), user)  # so that all do the same

    def _train(self, thread: int, user: int) -> None:
        begin = self.clock.now
        self.clock.compute(self._block, lambda: self._trained(thread, user, begin))

    def _trained(self, thread: int, user: int, begin: float) -> None:
        self.busy[thread] += self.clock.now - begin
        stratum = int(self._done[user])
        self._items[(user + stratum) % self._route.groups] = stratum + 1
        self._done[user] = stratum + 1
        if (stratum + 1) % STRATA and self._is_ready(self._users[user : user + 1])[0]:
            self._train(thread, user)
        else:
            self._claimed[user] = False
            self._idle.append(thread)
            self._look(1, THREAD_PAUSE)
        self._wake()
        if user == 0:
            self._give()

    # Item groups that leave and arrive

    def _send(self, then: Callable[[], None]) -> None:
        """Send a message to the next worker, as each of them does."""
        arrival = self.clock.now + self._costs.message
        self.clock.at(arrival, lambda: self.clock.compute(self._costs.work, then))

    def _look(self, lookers: int, pause: float) -> None:
        """Let more or fewer threads look at whether something is ready."""
        look = self._costs.look
        self.clock.background += lookers * look / (look + pause)

    def _copy_seconds(self, chunk: int, copies: int) -> float:
        return chunk * self._group_bytes / self._costs.copy * copies / COPIES

    def _wait_to_give(self) -> None:
        """Wait until the next chunk can leave."""
        if self._given < len(self._departures):
            self._is_giving = True
            self._look(1, LEAVING_PAUSE)
            self._give()

    def _give(self) -> None:
        """Let the chunk leave, if the first user group is through with it."""
        if not self._is_giving:
            return
        chunk = self._departures[self._given]
        if self._done[0] < self._route.strata_before_leaving(0, chunk):
            return
        self._is_giving = False
        self._look(-1, LEAVING_PAUSE)
        copy = self._copy_seconds(len(chunk), COPIES - 1)
        self.clock.compute(copy, lambda: self._gave(len(chunk)))

    def _gave(self, chunk: int) -> None:
        size = chunk * self._group_bytes
        self._free += chunk
        self.sent += size
        self._given += 1
        # Workers that share a machine share its link, if the next worker is on another machine.
        is_near = self._team.machines == 1
        bandwidth = float("inf") if is_near else self._team.bandwidth
        self._link_is_free = max(self._link_is_free, self.clock.now) + size / bandwidth
        latency = 0.0 if is_near else self._team.latency
        self.clock.at(self._link_is_free + latency, self._came)
        self._wait_to_give()
        self._take()

    def _came(self) -> None:
        self._come += 1
        self._call_take()

    def _call_take(self) -> None:
        """Take the next chunk that has come, after the one before."""
        if not self._is_called and self._taken < self._come:
            self._is_called = True
            self._send(self._wait_to_take)

    def _wait_to_take(self) -> None:
        self._is_taking = True
        self._take()

    def _take(self) -> None:
        """Let the chunk find its place, if there is one."""
        if not self._is_taking or self._free < len(self._arrivals[self._taken]):
            return
        self._is_taking = False
        chunk = len(self._arrivals[self._taken])
        self._free -= chunk
        self.clock.compute(self._copy_seconds(chunk, 1), self._took)

    def _took(self) -> None:
        chunk = self._arrivals[self._taken]
        for group in range(chunk.first, chunk.end):
            self._items[group] = self._route.strata_at_arrival(0, group)
        self._taken, self._is_called = self._taken + 1, False
        self._wake()
        self._call_take()

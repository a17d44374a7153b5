"""Measures what things cost on this machine, and how long epochs take on it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from mfcli import cluster
from mfcli.clusters import Cluster, Peers, Workers
from mfcli.config import Config
from mfcli.splits import Split
from mfcli.storage import cores
from mfcli.training.distributed.plans import plan_on, route_of, shares_of
from mfcli.training.engine import Engine
from mfcli.training.factory import make_engine
from mfcli.training.loop import start
from mfcli.training.plan import make_plan
from mfcli.training.sgd.claims import look_up, make_claims
from scaling.simulator import THREAD_PAUSE, Costs, Simulated, Team

EPOCHS = 12  # the first one, which compiles and fills caches, does not count
CALLS, MOVES = 200, 200
ROWS = 1 << 23  # bytes that travel at a time to measure copying


class Echo:
    """What a worker holds to measure messages."""

    def __init__(self, number: int) -> None:
        self._number, self._rows, self._is_over = number, np.zeros(ROWS, np.uint8), False
        self._changed, self._taken = threading.Condition(), 0

    def meet(self, peers: Peers) -> None:
        self._peers = peers

    def train(self) -> None:
        """Keep a processor busy until told to stop, as a thread that trains."""
        while not self._is_over:
            hashlib.sha256(self._rows)  # releases Python's lock

    def end(self) -> None:
        """Let `train` return."""
        self._is_over = True

    def nothing(self) -> None:
        """Return at once."""

    def give(self, to: int, size: int, count: int) -> None:
        """Send copies of rows to a worker, as `Portion.run_epoch`."""
        for _ in range(count):
            self._peers.call(to, "take", self._rows[:size].copy(), lane="in")

    def take(self, rows: Any) -> None:
        """Copy rows that have come, as `Portion.take`."""
        self._rows[: len(rows)] = rows
        with self._changed:
            self._taken += 1
            self._changed.notify_all()

    def await_rows(self, count: int) -> None:
        """Wait until rows have come this many times."""
        with self._changed:
            self._changed.wait_for(lambda: self._taken >= count)
            self._taken -= count

    def bounce(self, to: int, count: int) -> None:
        """Send a message to a worker, which sends it back, and so on."""
        if count:
            self._peers.call(to, "bounce", self._number, count - 1, lane="in")
        else:
            self.take(self._rows[:0])


class Measured(NamedTuple):
    """Epochs on workers on this machine.

    Attributes
    ----------
    team : Team
    costs : Costs
        While these workers train.
    epoch : Simulated
        What was measured; what travels is what the plan announces.
    """

    team: Team
    costs: Costs
    epoch: Simulated


def measure(split: Split, config: Config, workers: int) -> Measured:
    """Measure epochs, and what ratings, messages and copies cost, on this machine.

    Epochs of one process and of the workers alternate, because machines are not equally fast all
    the time.
    """
    with cluster("local", workers=workers) as used:
        plan = plan_on(used, make_plan(split.train, config), split, config)
        begin = start(split, config)
        alone = make_engine(plan, [begin], split.train, None, cores())
        together = make_engine(plan, [begin], split.train, None, cores(), split=split)
        rounds = [_round(number, alone, together, used) for number in range(1, EPOCHS + 1)][1:]
        alone_seconds, epoch, computing = (median(column) for column in zip(*rounds, strict=True))
        rating = alone_seconds * cores() / len(split.train)
        hops = shares_of(used, plan.groups, split, config).hops
        moves = (
            len(route_of(used, plan.groups, len(split.train.items), config).departures(0)) * workers
        )
        costs = Costs(rating, *message_costs(used, hops // max(moves, 1)), look_seconds())
        team = Team(workers, max(used.threads), 1, cores())
    return Measured(team, costs, Simulated(epoch, computing, epoch - computing, hops))


def _round(
    number: int, alone: Engine, together: Engine, used: Cluster
) -> tuple[float, float, float]:
    """Return the seconds of an epoch of each engine, and those in which workers computed."""
    first = seconds(lambda: alone.run_epoch(number, nothing))
    before = used.computing
    second = seconds(lambda: together.run_epoch(number, nothing))
    return first, second, used.computing - before


def rating_seconds(split: Split, config: Config) -> float:
    """Return the seconds for a rating, of a thread while all processors train."""
    plan, threads = make_plan(split.train, config), cores()
    engine = make_engine(plan, [start(split, config)], split.train, None, threads)
    epochs = [seconds(lambda n=n: engine.run_epoch(n, nothing)) for n in range(1, EPOCHS + 1)]
    return median(epochs[1:]) * threads / len(split.train)


def nothing(done: int, total: int) -> None:
    """Report no progress."""


def seconds(work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def message_costs(used: Cluster, chunk: int) -> tuple[float, float, float, float]:
    """Return the costs of a start, of a message in all processes, and until it starts; of a copy.

    Rows of some bytes move as in an epoch: each worker gives to the one before.
    """
    workers = used.start(Echo)
    workers.introduce()
    every = range(len(workers))
    _moves(workers, chunk, MOVES)
    before = family_seconds()
    _moves(workers, chunk, MOVES)
    work = (family_seconds() - before) / (MOVES * len(workers))
    own = time.process_time()
    workers.get([workers.call(0, "nothing") for _ in range(CALLS)])
    of_driver = (time.process_time() - own) / CALLS
    large = median(seconds(lambda: _moves(workers, ROWS, 1)) for _ in range(20))
    small = median(seconds(lambda: _moves(workers, 1, 1)) for _ in range(20))
    training = [workers.call(n, "train", lane="compute") for n in every]
    until = median(seconds(lambda: _bounce(workers)) for _ in range(5)) / CALLS
    workers.get([workers.call(n, "end") for n in every])
    workers.get(training)
    copied = ROWS * len(workers) / min(len(workers), cores())
    return of_driver, work, until, copied / max(large - small, 1e-9)


def _moves(workers: Workers, size: int, count: int) -> None:
    """Let rows travel from each worker to the one before, some times."""
    every, n = range(len(workers)), len(workers)
    sent = [workers.call(w, "give", (w - 1) % n, size, count, lane="out") for w in every]
    workers.get([*sent, *(workers.call(w, "await_rows", count) for w in every)])


def _bounce(workers: Workers) -> None:
    """Let a message go back and forth, and return where it started."""
    workers.call(0, "bounce", len(workers) - 1, CALLS, lane="out")
    workers.get(workers.call(0, "await_rows", 1))


def family_seconds() -> float:
    """Return the seconds of processors that this process and its descendants have used; Linux."""
    tick, used = os.sysconf("SC_CLK_TCK"), dict[int, tuple[int, int]]()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it may end meanwhile
            fields = path.read_text().rpartition(")")[2].split()
            used[int(path.parent.name)] = int(fields[1]), int(fields[11]) + int(fields[12])
    family, size = {os.getpid()}, 0
    while size < len(family):
        size = len(family)
        family |= {number for number, (parent, _) in used.items() if parent in family}
    return sum(used[number][1] for number in family) / tick


def look_seconds() -> float:
    """Return the seconds of a processor for a look at whether something is ready."""
    claims, done, looks = make_claims(1, True, 1), np.zeros(1, np.int64), 2000
    begin = time.process_time()
    for _ in range(looks):
        look_up(claims, 0, done)
        time.sleep(THREAD_PAUSE)
    return (time.process_time() - begin) / looks

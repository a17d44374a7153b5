"""Train the trials of a round at the same time: on this machine, or on the workers of a cluster."""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol, TypeAlias

from mfcli.clusters import Cluster, current_cluster
from mfcli.errors import Param, Text, warn
from mfcli.model import map_shared
from mfcli.search.trial_training import TrialResult, TrialRules, train_trial
from mfcli.splits import Split

LARGE = 2_000_000  # from this many training ratings on, one trial at a time uses all threads

Results: TypeAlias = Generator[TrialResult | None, None, None]


class TrialRunner(Protocol):
    """Trains trials at the same time."""

    def results(self, rules: TrialRules, trials: Sequence[dict[str, Any]]) -> Results:
        """Yield what trials with these values give, in order; None for one out of time.

        If the generator is closed early, trials that still run end soon.
        """
        ...


def is_large(split: Split) -> bool:
    """Return whether a machine trains one trial at a time, with all threads."""
    return len(split.train) >= LARGE


def trial_runner(split: Split, threads: int, parallel: int) -> TrialRunner:
    """Return what trains the trials of a search: the cluster in use, or this machine.

    Parameters
    ----------
    split : Split
        With validation ratings.
    threads : int
        Of this machine; the workers of a cluster have their own.
    parallel : int
        Trials of a round.

    Warns
    -----
    MfcliWarning
        If a round does not keep all workers busy.
    """
    cluster = current_cluster()
    if cluster is None:
        return _ThisMachine(split, threads)
    if len(cluster) > parallel:
        idle = f" leaves {len(cluster) - parallel} of {len(cluster)} workers idle"
        remedy: Text = ["use ", Param("parallel_trials", len(cluster)), " in a new search"]
        warn([Param("parallel_trials", parallel), idle], remedy=remedy)
    return _Workers(cluster, split)


class _ThisMachine(NamedTuple):
    split: Split
    threads: int

    def results(self, rules: TrialRules, trials: Sequence[dict[str, Any]]) -> Results:
        stop = threading.Event()
        at_once = 1 if is_large(self.split) else min(self.threads, len(trials))

        def train(values: dict[str, Any]) -> TrialResult | None:
            threads = self.threads // at_once
            return train_trial(self.split, rules, values, threads=threads, is_stopped=stop.is_set)

        # Threads, not processes: kernels release the lock, and the ratings are shared.
        with ThreadPoolExecutor(at_once) as pool:
            try:
                yield from pool.map(train, trials)
            finally:
                stop.set()


class _Workers(NamedTuple):
    cluster: Cluster
    split: Split

    def results(self, rules: TrialRules, trials: Sequence[dict[str, Any]]) -> Results:
        yield from map_shared(self.cluster, _train, (self.split, rules), trials)


def _train(shared: tuple[Split, TrialRules], values: dict[str, Any]) -> TrialResult | None:
    """Train a trial in a worker, with the threads of the worker."""
    return train_trial(*shared, values)

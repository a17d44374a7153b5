"""Epochs of gradient descent."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.engines import engine_of, no_progress
from benchmarks.records import THREADS, Found, Record, compared
from benchmarks.run_setup import Setup
from benchmarks.timing import Samples, timed
from benchmarks.workers import measured
from mfcli.config import Config
from mfcli.data import Ratings
from mfcli.splits import read_split
from mfcli.storage import one_blas_thread
from mfcli.training import make_plan
from mfcli.training.sgd.blocks import make_blocks
from mfcli.training.sgd.rows import RATING

FACTORS = (10, 30, 62, 126)
_EPOCHS = 3  # in a repetition


def records(setup: Setup, found: Found) -> list[Record]:
    """Measure with momentum and without; for the default k also with one thread."""
    made: list[Record] = []
    for k in setup.ks or FACTORS:
        for threads in (1, THREADS) if k == Config.k else (THREADS,):
            cases = ({"k": k, "threads": threads, "momentum": b} for b in (Config.momentum, 0.0))
            with_momentum, without = (_record(setup, case) for case in cases)
            without["share"] = without["seconds"] / with_momentum["seconds"]
            made += [with_momentum, without]
    return made


def _record(setup: Setup, case: Record) -> Record:
    split = str(setup.split)
    medians = measured("descent.epochs", setup.versions, setup.rounds, split=split, **case)
    return case | medians["mfcli"] | compared(medians)


def epochs(split: str, k: int, momentum: float, threads: int) -> Iterator[Samples]:
    """Yield seconds of epochs, CPU time per rating, and seconds of validation and shuffles."""
    parts, config = read_split(Path(split)), Config(k=k, momentum=momentum)
    shuffle = _shuffle(parts.train, config)
    with one_blas_thread():
        engine = engine_of(parts, config, threads)
        epoch = partial(engine.run_epoch, 1, no_progress)
        epoch()  # compiles
        engine.validate()
        while True:
            cpu = time.process_time()
            seconds = [timed(epoch) for _ in range(_EPOCHS)]
            cpu = (time.process_time() - cpu) / _EPOCHS / len(parts.train)
            yield {
                "seconds": seconds,
                "cpu": [cpu * 1e9],
                "validation": [timed(engine.validate)],
                "shuffle": [timed(shuffle, time.process_time) / len(parts.train) * 1e9],
            }


def _shuffle(train: Ratings, config: Config) -> Callable[[], None]:
    """Return a task that shuffles all blocks, in one thread."""
    blocks = make_blocks(train, make_plan(train, config).groups, config.batch_size)
    buffer = np.empty(blocks.longest, RATING)

    def shuffle() -> None:
        for block in blocks.blocks:
            block.shuffle(buffer, 0, 1)

    return shuffle

"""Epochs of gradient descent."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.engines import engine_of, no_progress
from benchmarks.records import THREADS, Found, Record, compared
from benchmarks.run_setup import Setup
from benchmarks.timing import Samples, timed
from benchmarks.workers import measured
from mfcli.config import Config
from mfcli.splits import read_split
from mfcli.storage import one_blas_thread

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
    """Yield seconds of epochs, CPU time per rating, and seconds of validation."""
    parts, config = read_split(Path(split)), Config(k=k, momentum=momentum)
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
            }

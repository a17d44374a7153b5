"""Iterations of alternating least squares with unrated pairs, beside those of implicit."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.engines import engine_of, no_progress
from benchmarks.records import THREADS, Found, Record, compared, ratio
from benchmarks.run_setup import Setup
from benchmarks.timing import Samples, timed
from benchmarks.workers import Missing, measured
from mfcli.config import Config
from mfcli.errors import ConfigError
from mfcli.splits import read_split
from mfcli.storage import one_blas_thread

FACTORS = (64, 128)
_ITERATIONS = 15  # of a training run, as implicit has by default


def records(setup: Setup, found: Found) -> list[Record]:
    """Measure every number of factors."""
    return [_record(setup, k) for k in setup.ks or FACTORS]


def _record(setup: Setup, k: int) -> Record:
    medians = measured("als.iterations", setup.versions, setup.rounds, split=str(setup.split), k=k)
    record = {"k": k} | compared(medians)
    record["training"] = _ITERATIONS * record["seconds"]
    implicit = _implicit(setup, k)
    return record | {"implicit": implicit, "times": ratio(implicit, record["seconds"])}


def iterations(split: str, k: int) -> Iterator[Samples]:
    """Yield the seconds of an iteration; nothing if this version of mfcli has other settings."""
    try:
        config = Config(
            optimizer="als", target="rated", biases=False, unrated_weight=0.1,
            rating_weight="squared", reg=0.01, k=k,
        )  # fmt: skip
    except (ConfigError, TypeError):
        yield from itertools.repeat({})
        return
    with one_blas_thread():
        engine = engine_of(read_split(Path(split)), config, THREADS)
        engine.run_epoch(1, no_progress)  # compiles
        for number in itertools.count(2):
            yield {"seconds": [timed(partial(engine.run_epoch, number, no_progress))]}


def _implicit(setup: Setup, k: int) -> float | None:
    """Return the seconds of an iteration of implicit; None if it is not installed."""
    case = {"split": str(setup.split), "k": k, "ratings": 1 << 62}
    try:
        return measured("peer_programs.implicit", setup.versions[:1], 1, **case)["mfcli"]["seconds"]
    except Missing:
        return None

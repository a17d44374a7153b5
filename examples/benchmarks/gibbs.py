"""Epochs of Gibbs sampling with the settings of `mfcli init`, and their Gram matrices alone."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.engines import engine_of, no_progress
from benchmarks.records import THREADS, Found, Record, compared, ratio
from benchmarks.run_setup import Setup
from benchmarks.timing import Samples, timed
from benchmarks.workers import measured
from mfcli.config import Config
from mfcli.data import Ratings
from mfcli.splits import read_split
from mfcli.storage import one_blas_thread

FACTORS = (15, 31, 63, 127)


def records(setup: Setup, found: Found) -> list[Record]:
    """Measure every number of factors."""
    return [_record(setup, k) for k in setup.ks or FACTORS]


def _record(setup: Setup, k: int) -> Record:
    medians = measured("gibbs.epochs", setup.versions, setup.rounds, split=str(setup.split), k=k)
    record = {"k": k} | medians["mfcli"] | compared(medians)
    share = ratio(record.get("gram"), record["seconds"])
    return record | {"per_k": record["seconds"] / k, "gram_share": share}


def epochs(split: str, k: int) -> Iterator[Samples]:
    """Yield the seconds of an epoch whose sample is averaged, of validation, and of the sums."""
    parts, config = read_split(Path(split)), Config(optimizer="gibbs", k=k)
    sums = _sums(parts.train, k)
    with one_blas_thread():
        engine = engine_of(parts, config, THREADS)
        engine.run_epoch(config.first_averaged, no_progress)  # compiles
        engine.validate()
        for number in itertools.count(config.first_averaged + 1):
            samples = {
                "seconds": [timed(partial(engine.run_epoch, number, no_progress))],
                "validation": [timed(engine.validate)],
            }
            yield samples | ({"gram": [timed(sums)]} if sums else {})


def _sums(train: Ratings, k: int) -> Callable[[], None] | None:
    """Return a task that computes the Gram matrices of all rows of both sides.

    None if this version of mfcli has other kernels.
    """
    try:
        from benchmarks.kernels import gram_matrices
        from mfcli.aligned import aligned, lanes_of
        from mfcli.training.normal_equations.rated_pairs import RatedPairs, unit_of
        from mfcli.training.normal_equations.ratings_by_row import sort_ratings
    except ImportError:
        return None
    width = lanes_of(k + 1)
    pairs = RatedPairs(train)
    here = sort_ratings(pairs, k, THREADS, unit=unit_of(pairs)).here
    assert here is not None
    users, items = here
    kernel, rng = gram_matrices(width), np.random.default_rng(0)

    def packed(count: int) -> tuple[np.ndarray, np.ndarray]:
        rows = aligned((count, width))
        rows[:, : k + 1] = rng.standard_normal((count, k + 1), np.float32)
        return rows, aligned((count,))

    sides = [
        (side, *packed(len(other.counts)), np.zeros(len(side.counts)))
        for side, other in ((users, items), (items, users))
    ]

    def task() -> None:
        for side, *tables in sides:
            # The kernel counts every rating once, so it takes no weights.
            for some in side.read_ranges():
                some.each(_rows_of(kernel, tables), side.threads)

    task()  # compiles
    return task


def _rows_of(kernel: Callable[..., None], tables: Sequence[object]) -> Callable[..., None]:
    """Return a task that computes some rows."""
    return lambda first, last, records: kernel(first, last, records, *tables)

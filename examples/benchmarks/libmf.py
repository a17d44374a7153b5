"""LIBMF: its PyPI package as pip builds it, and a program compiled from its source."""

from __future__ import annotations

import contextlib
import importlib.util
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from benchmarks.descent import FACTORS
from benchmarks.records import THREADS, Found, Record, epoch_of_descent, ratio
from benchmarks.run_setup import Setup
from benchmarks.timing import Samples, between
from benchmarks.workers import measured
from mfcli.data import Ratings
from mfcli.splits import read_split

_NATIVE = (1, 16)  # iterations, whose difference is timed
_PACKAGE = 64  # iterations times factors of the package, which is slow; at least two iterations
_BINS = 20  # as mf-train has by default
_VECTOR = 16


def records(setup: Setup, found: Found) -> list[Record]:
    """Measure the package once and the program in every round, whichever there is."""
    has_package = bool(importlib.util.find_spec("libmf"))
    if setup.libmf_binary:
        _write(read_split(setup.split).train, setup.folder / "train.txt")
    elif not has_package:
        return []
    return [_record(setup, found, k, has_package) for k in setup.ks or FACTORS]


def _record(setup: Setup, found: Found, k: int, has_package: bool) -> Record:
    native = _native(setup, factors(k)) if setup.libmf_binary else None
    package = _package(setup, factors(k)) if has_package else None
    epoch, plain = (epoch_of_descent(found, k, momentum=momentum) for momentum in (True, False))
    return {
        "k": k,
        "libmf_k": factors(k),
        "native": native,
        "native_times": ratio(native, epoch),
        "native_times_plain": ratio(native, plain),
        "package": package,
        "package_times": ratio(package, epoch),
    }


def factors(k: int) -> int:
    """Return the factors of LIBMF to compare with `k`.

    LIBMF has no biases. If they fill the last vector of a row of mfcli, it gets two more factors.
    """
    return k if (k + 2) % _VECTOR else k + 2


def iterations(split: str, k: int, threads: int) -> Iterator[Samples]:
    """Yield the seconds of an iteration of the PyPI package."""
    with contextlib.redirect_stdout(None):
        from libmf import mf

    train = read_split(Path(split)).train
    ratings = np.stack([train.user, train.item, train.rating], axis=1).astype(np.float32)

    def fit(count: int) -> Any:
        engine = mf.MF(k=k, nr_threads=threads, nr_iters=count, nr_bins=_BINS, quiet=True)
        return engine.fit(ratings)

    while True:
        yield {"seconds": [between(fit, 1, 1 + max(2, _PACKAGE // k))]}


def _write(train: Ratings, path: Path) -> None:
    """Write ratings as `mf-train` reads them: a line with user, item and rating for each."""
    table = pa.table({name: getattr(train, name) for name in ("user", "item", "rating")})
    options = pyarrow.csv.WriteOptions(include_header=False, delimiter=" ")
    pyarrow.csv.write_csv(table, path, options)


def _package(setup: Setup, k: int) -> float:
    """Return the seconds of an iteration of the PyPI package."""
    case = {"split": str(setup.split), "k": k, "threads": THREADS}
    return measured("libmf.iterations", setup.versions[:1], 1, **case)["mfcli"]["seconds"]


def _native(setup: Setup, k: int) -> float:
    """Return the seconds of an iteration of the program."""
    print(f"{setup.libmf_binary}: k {k}", file=sys.stderr)
    program = [setup.libmf_binary, "-k", k, "-s", THREADS, "--quiet"]

    def fit(count: int) -> None:
        words = map(str, [*program, "-t", count, "train.txt", "libmf.model"])
        subprocess.run([*words], cwd=setup.folder, check=True)

    return statistics.median(between(fit, *_NATIVE) for _ in range(setup.rounds))

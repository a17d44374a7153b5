"""Other programs that factor ratings: an iteration of each, on the same ratings."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.gibbs import FACTORS
from benchmarks.records import (
    THREADS,
    Found,
    Record,
    epoch_of_descent,
    epoch_of_gibbs,
    ratio,
)
from benchmarks.run_setup import Setup
from benchmarks.timing import Samples, between
from benchmarks.workers import Missing, measured
from mfcli.data import Ratings
from mfcli.splits import read_split

_MOST = {"myfm": 2_000_000}  # ratings; the seconds are scaled to all of them
_NAMES = {
    "implicit": "implicit, ALS",
    "cmfrec": "cmfrec, ALS for ratings",
    "myfm": "myFM, Gibbs sampling (one thread)",
}


def records(setup: Setup, found: Found) -> list[Record]:
    """Measure each program once for every number of factors; say which are not installed."""
    made: list[Record] = []
    for task, name in _NAMES.items():
        try:
            made += [
                {"program": name} | _record(setup, found, task, k) for k in setup.ks or FACTORS
            ]
        except Missing as error:
            made.append({"program": name, "note": str(error)})
    return made


def _record(setup: Setup, found: Found, task: str, k: int) -> Record:
    count = len(read_split(setup.split).train)
    used = min(count, _MOST.get(task, count))
    case = {"split": str(setup.split), "k": k, "ratings": used}
    medians = measured(f"peer_programs.{task}", setup.versions[:1], 1, **case)["mfcli"]
    seconds = medians["seconds"] * count / used
    # By default, descent is measured with other numbers of factors.
    smaller = (one["k"] for one in found.get("descent", ()) if one["k"] <= k)
    descent = epoch_of_descent(found, max(smaller, default=k), momentum=True)
    return {
        "k": k,
        "seconds": seconds,
        "times_gibbs": ratio(seconds, epoch_of_gibbs(found, k)),
        "times_descent": ratio(seconds, descent),
        "note": f"{used:,} ratings, scaled" if used < count else None,
    }


def implicit(split: str, k: int, ratings: int) -> Iterator[Samples]:
    """Yield the seconds of an iteration of alternating least squares for implicit feedback."""
    from implicit.cpu.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix
    from threadpoolctl import threadpool_limits

    train = _some(split, ratings)
    matrix = csr_matrix((train.rating, (train.user, train.item)))

    def fit(count: int) -> None:
        model = AlternatingLeastSquares(k, iterations=count, num_threads=THREADS, random_state=0)
        model.fit(matrix, show_progress=False)

    with threadpool_limits(1, "blas"):  # as its documentation asks
        while True:
            yield {"seconds": [between(fit, 1, 4)]}


def cmfrec(split: str, k: int, ratings: int) -> Iterator[Samples]:
    """Yield the seconds of an iteration of alternating least squares for ratings, with biases."""
    import pandas as pd
    from cmfrec import CMF

    train = _some(split, ratings)
    table = pd.DataFrame({"UserId": train.user, "ItemId": train.item, "Rating": train.rating})

    def fit(count: int) -> None:
        CMF(k=k, method="als", niter=count, nthreads=THREADS, verbose=False).fit(table)

    while True:
        yield {"seconds": [between(fit, 1, 4)]}


def myfm(split: str, k: int, ratings: int) -> Iterator[Samples]:
    """Yield the seconds of a sample of a factorization machine with users and items."""
    import myfm
    from scipy.sparse import csr_matrix

    train = _some(split, ratings)
    users, items = len(train.users), len(train.items)
    columns = np.stack([train.user, users + train.item], axis=1).ravel()
    ends = np.arange(len(train) + 1) * 2
    shape = len(train), users + items
    rows = csr_matrix((np.ones(2 * len(train)), columns, ends), shape=shape)
    groups = [0] * users + [1] * items

    def fit(count: int) -> None:
        model = myfm.MyFMRegressor(rank=k, random_seed=0)
        with contextlib.redirect_stderr(io.StringIO()):  # it shows its progress
            model.fit(rows, train.rating, n_iter=count, n_kept_samples=1, grouping=groups)

    while True:
        yield {"seconds": [between(fit, 1, 4)]}


def _some(split: str, count: int) -> Ratings:
    """Return a random sample of the training ratings, or all of them in their order."""
    train = read_split(Path(split)).train
    if count >= len(train):
        return train
    return train.take(np.random.default_rng(0).permutation(len(train))[:count])

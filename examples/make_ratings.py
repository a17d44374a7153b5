"""Generate ratings in the shape of MovieLens-20M, for benchmarks of speed.

    python examples/make_ratings.py ratings.csv            # 20,000,263 ratings, 500 MB
    python examples/make_ratings.py ratings.parquet --share 0.1 --seed 7
    python examples/make_ratings.py large.csv --share 10 --items 100000

More ratings than those of MovieLens-20M are made in pieces of that size, of other users and the
same items, so that memory does not grow.

Users and items have long tails: each user rates at least 20 items, half of the users at most 68,
and the most popular item has 67,310 ratings. Ratings are drawn from random biases and factors, with
noise, and rounded to half stars. Generated data says nothing about accuracy on real ratings.
"""

from __future__ import annotations

import math
import time
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numba
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import typer
from numpy.typing import NDArray

USERS, ITEMS, RATINGS = 138_493, 26_744, 20_000_263
LEAST, MEDIAN, MOST = 20, 68, 67_310  # ratings of a user, ratings of a user, ratings of an item
FACTORS = 8
MEAN, USER_SPREAD, ITEM_SPREAD, FACTOR_SPREAD, NOISE = 3.3, 0.4, 0.5, 0.35, 0.75
SCHEMA = pa.schema(
    [
        ("userId", pa.int32()),
        ("movieId", pa.int32()),
        ("rating", pa.float32()),
        ("timestamp", pa.int64()),
    ]
)
FIRST_SECOND, LAST_SECOND = 789_652_009, 1_427_784_002  # 1995 to 2015


class Planted(NamedTuple):
    """What the ratings of an item depend on.

    Attributes
    ----------
    names : int32 array, shape (items,)
        Raw ids.
    factors : float32 array, shape (items, FACTORS)
    biases : float32 array, shape (items,)
    """

    names: NDArray[np.int32]
    factors: NDArray[np.float32]
    biases: NDArray[np.float32]


def main(
    out: Annotated[Path, typer.Argument(help="CSV or Parquet file to write.")],
    share: Annotated[float, typer.Option(min=0.02, help="Multiple of MovieLens-20M.")] = 1.0,
    items: Annotated[
        int | None, typer.Option(min=500, help="Number of items; by default, also a multiple.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of all random numbers.")] = 0,
) -> None:
    """Generate ratings in the shape of MovieLens-20M."""
    begin = time.perf_counter()
    pieces = math.ceil(share)
    size = share / pieces
    popularity = item_counts(size, items or round(ITEMS * share))
    counts, first, planted = np.zeros(len(popularity), np.int64), 1, None
    activities = []
    with closing(writer(out)) as table:
        for number in range(pieces):
            rng = np.random.default_rng([seed, number] if number else seed)
            activity = user_counts(rng, size, len(popularity))
            user = np.repeat(np.arange(len(activity), dtype=np.int32), activity)
            item = draw_items(rng, activity, item_weights(activity, popularity))
            fix_counts(rng, user, item, int(popularity[0]), len(popularity))
            names = 1 + rng.permutation(len(popularity)).astype(np.int32)
            rating, planted = ratings(rng, user, item, names, planted)
            table.write_table(rows(user + first, planted.names[item], rating, times(rng, activity)))
            counts += np.bincount(item, minlength=len(popularity))
            activities.append(activity)
            first += len(activity)
    activity = np.concatenate(activities)
    print(
        f"{out}: {activity.sum():,} ratings of {np.count_nonzero(counts):,} items by"
        f" {len(activity):,} users (at least {activity.min()}, median {np.median(activity):g}"
        f" each; most popular item {counts.max():,}) in {time.perf_counter() - begin:.1f} s"
    )


def user_counts(rng: np.random.Generator, share: float, items: int) -> NDArray[np.int64]:
    """Draw the number of items of each user, LEAST plus a log-normal number, with the right sum."""
    users, total = round(USERS * share), round(RATINGS * share)
    middle, mean = MEDIAN - LEAST, total / users - LEAST
    spread = np.sqrt(2 * np.log(mean / middle))
    most = items // 3
    more = np.minimum(rng.lognormal(np.log(middle), spread, users), most - LEAST)
    upper = more > 2 * middle  # the others determine the median, so they are not changed
    upper_sum = total - users * LEAST - np.rint(more[~upper]).sum()
    more[upper] = 2 * middle + (more[upper] - 2 * middle) * (
        (upper_sum - 2 * middle * upper.sum()) / (more[upper] - 2 * middle).sum()
    )
    counts = LEAST + np.rint(more).astype(np.int64)
    candidates = np.flatnonzero(upper)
    missing = total - int(counts.sum())
    np.add.at(counts, rng.choice(candidates, abs(missing)), np.sign(missing))
    return counts


def item_counts(share: float, items: int) -> NDArray[np.float64]:
    """Return the expected number of ratings of each item, in decreasing order.

    A stretched exponential of the rank, as in MovieLens-20M, with a decay that gives the right sum.
    """
    rank = np.arange(items) / items
    low, high = 1.0, 40.0
    for _ in range(60):
        decay = (low + high) / 2
        counts = np.maximum(MOST * share * np.exp(-decay * rank**0.437), 1)
        low, high = (decay, high) if counts.sum() > RATINGS * share else (low, decay)
    return counts


def item_weights(
    activity: NDArray[np.int64], popularity: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Find weights such that drawing without replacement gives each item its popularity.

    A user who draws m times has item i with probability 1 - exp(-m w_i). Users are
    grouped in 32 classes of equal size; m and w are fitted alternately.
    """
    classes = np.array([part.mean() for part in np.array_split(np.sort(activity), 32)])
    size = len(activity) / len(classes)
    draws, weights = classes.copy(), popularity / popularity.sum()
    for _ in range(60):
        chance = -np.expm1(-draws[:, None] * weights)  # (classes, items)
        draws *= classes / chance.sum(1)
        chance = -np.expm1(-draws[:, None] * weights)
        weights *= popularity / (size * chance.sum(0))
    return weights / weights.sum()


def draw_items(
    rng: np.random.Generator, activity: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[np.int32]:
    """Draw the items of each user without replacement, in ascending order."""
    accept, alias = _alias_table(weights)
    item = np.empty(activity.sum(), np.int32)
    _draw(rng, activity, accept, alias, item)
    return item


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _alias_table(weights: Any) -> Any:
    """Walker's alias method, built as by Vose (1991)."""
    n = len(weights)
    accept, alias = weights * n, np.arange(n)
    small = [i for i in range(n) if accept[i] < 1]
    large = [i for i in range(n) if accept[i] >= 1]
    while small and large:
        less, more = small.pop(), large[-1]
        alias[less] = more
        accept[more] -= 1 - accept[less]
        if accept[more] < 1:
            small.append(large.pop())
    return accept, alias


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _draw(rng: Any, activity: Any, accept: Any, alias: Any, item: Any) -> None:
    n = len(accept)
    taken, end = np.full(n, -1, np.int32), 0
    for user in range(len(activity)):
        start, end = end, end + activity[user]
        at = start
        while at < end:
            x = rng.random() * n
            i = int(x)
            if x - i >= accept[i]:
                i = alias[i]
            if taken[i] != user:
                taken[i] = user
                item[at] = i
                at += 1
        item[start:end].sort()


def fix_counts(
    rng: np.random.Generator,
    user: NDArray[np.int32],
    item: NDArray[np.int32],
    most: int,
    items: int,
) -> None:
    """Move a few ratings so that item 0 has exactly `most` and every item at least one."""
    counts = np.bincount(item, minlength=items)
    common = np.flatnonzero((item > 0) & (counts[item] > 50))
    missing = np.flatnonzero(counts == 0)
    item[rng.choice(common, len(missing), replace=False)] = missing
    has, excess = np.flatnonzero(item == 0), int(counts[0]) - most
    if excess > 0:
        for row in rng.choice(has, excess, replace=False):
            own = item[_of_user(user, row)]
            item[row] = rng.choice(np.setdiff1d(np.arange(1, items), own))
    elif excess < 0:
        lacking = np.setdiff1d(user, user[has])
        rows = np.searchsorted(user, rng.choice(lacking, -excess, replace=False))
        item[rows] = 0


def _of_user(user: NDArray[np.int32], row: int) -> slice:
    first, last = np.searchsorted(user, [user[row], user[row] + 1])
    return slice(int(first), int(last))


def ratings(
    rng: np.random.Generator,
    user: NDArray[np.int32],
    item: NDArray[np.int32],
    names: NDArray[np.int32],
    planted: Planted | None,
) -> tuple[NDArray[np.float32], Planted]:
    """Draw ratings from random biases and factors, with noise, rounded to half stars.

    Return also what items are like: as given, or new items with `names`.
    """
    sizes = int(user.max()) + 1, len(names)
    spread = np.sqrt(FACTOR_SPREAD / np.sqrt(FACTORS))
    factors = [rng.normal(0, spread, (n, FACTORS)).astype(np.float32) for n in sizes]
    biases = [
        rng.normal(0, deviation, n).astype(np.float32)
        for deviation, n in zip((USER_SPREAD, ITEM_SPREAD), sizes, strict=True)
    ]
    planted = planted or Planted(names, factors[1], biases[1])
    rating = rng.standard_normal(len(user), dtype=np.float32)
    _plant(user, item, factors[0], planted.factors, biases[0], planted.biases, rating)
    return rating, planted


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _plant(
    user: Any, item: Any, p: Any, q: Any, user_bias: Any, item_bias: Any, rating: Any
) -> None:
    for n in range(len(rating)):
        u, i = user[n], item[n]
        mean = MEAN + user_bias[u] + item_bias[i]
        for f in range(FACTORS):
            mean += p[u, f] * q[i, f]
        stars = np.rint(2 * (mean + NOISE * rating[n])) / 2
        rating[n] = min(max(stars, 0.5), 5.0)


def times(rng: np.random.Generator, activity: NDArray[np.int64]) -> NDArray[np.int64]:
    """Draw the time of each user's first rating; the next ones follow within a minute each."""
    first = rng.integers(FIRST_SECOND, LAST_SECOND, len(activity))
    elapsed = np.cumsum(rng.integers(1, 60, activity.sum()))
    begin = np.concatenate([[0], np.cumsum(activity)[:-1]])
    return np.repeat(first - elapsed[begin], activity) + elapsed


def rows(
    user: NDArray[np.int32],
    item: NDArray[np.int32],
    rating: NDArray[np.float32],
    timestamp: NDArray[np.int64],
) -> pa.Table:
    columns = {"userId": user, "movieId": item, "rating": rating, "timestamp": timestamp}
    return pa.table(columns, SCHEMA)


def writer(out: Path) -> Any:
    if out.suffix == ".parquet":
        return pyarrow.parquet.ParquetWriter(out, SCHEMA)
    options = pyarrow.csv.WriteOptions(quoting_style="none")
    return pyarrow.csv.CSVWriter(out, SCHEMA, write_options=options)


if __name__ == "__main__":
    typer.run(main)

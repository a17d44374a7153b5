"""What an epoch computes and moves for each rating, and how fast this machine could do it.

Only the work of the algorithm counts: multiplications and additions of values that matter, and rows
and ratings that are read or written. A row that is still in a cache is counted as well, because it
moves from there. The bound is the longer of two times: all arithmetic at the measured peak, and all
bytes at the measured bandwidth of the second-level cache. Rows that come from memory take longer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from benchmarks.records import THREADS, Found, Record
from benchmarks.run_setup import Setup
from mfcli.config import Config
from mfcli.splits import read_split
from mfcli.training import row_size

_FLOAT = 4  # bytes
_RATING = 12  # bytes of a user, an item and a rating


class Work(NamedTuple):
    """What is done for each rating.

    Attributes
    ----------
    operations : float
        Multiplications and additions.
    moved : float
        Bytes.
    """

    operations: float
    moved: float


def descent_work(k: int, momentum: float) -> Work:
    """Return the work of a step for one rating.

    The prediction is a product of two rows. On each side, the error times the row of the other side
    is added to the velocity, which has decayed, and the velocity to the row; without momentum, the
    product is added to the row. A shuffle reads and writes the rating before the step reads it.
    """
    each = k + 2  # factors, and the biases
    per_side = 5 if momentum else 2
    rows = 2 * 2 * row_size(Config(k=k, momentum=momentum)) * _FLOAT  # both sides, read and written
    return Work(each * (2 + 2 * per_side), rows + 3 * _RATING)


def gram_work(k: int) -> Work:
    """Return the work of the sums for one rating, for users and for items.

    The upper triangle of ``z z^T`` and the product of z and a target are added to sums. The row z,
    its offset, its number and the rating are read.
    """
    d = k + 1
    row = -(-d // 16) * 16
    return Work(2 * (d * (d + 1) + 2 * d), 2 * (row + 3) * _FLOAT)


def gibbs_work(k: int, rows_per_rating: float) -> Work:
    """Return the work of an epoch: sums, and for each row a factorization and two solutions."""
    sums, d = gram_work(k), k + 1
    return Work(sums.operations + rows_per_rating * (d**3 / 3 + 2 * d**2), sums.moved)


def records(setup: Setup, found: Found) -> list[Record]:
    """Compare the epochs of this run with the bounds of the machine, both with two threads."""
    if "machine" not in found:
        return []
    peaks = {one["peak"]: one["two"] * 1e9 for one in found["machine"]}
    train = read_split(setup.split).train
    cases = [
        *_of_descent(found),
        *_of_gibbs(found, (len(train.users) + len(train.items)) / len(train)),
    ]
    return [record | _bounds(record, work, len(train), peaks) for record, work in cases]


def _of_descent(found: Found) -> Iterator[tuple[Record, Work]]:
    for one in found.get("descent", ()):
        if one["threads"] == THREADS:
            name = f"descent, momentum {one['momentum']:g}"
            record = {"work": name, "k": one["k"], "seconds": one["seconds"]}
            yield record, descent_work(one["k"], one["momentum"])


def _of_gibbs(found: Found, rows_per_rating: float) -> Iterator[tuple[Record, Work]]:
    for one in found.get("gibbs", ()):
        record = {"work": "Gibbs, epoch", "k": one["k"], "seconds": one["seconds"]}
        yield record, gibbs_work(one["k"], rows_per_rating)
        if "gram" in one:
            record = {"work": "Gram matrices", "k": one["k"], "seconds": one["gram"]}
            yield record, gram_work(one["k"])


def _bounds(record: Record, work: Work, ratings: int, peaks: Mapping[str, float]) -> Record:
    """Return the work, the seconds that it takes at each peak, and the distance to the bound."""
    arithmetic = ratings * work.operations / peaks["multiply-adds"]
    cache, memory = (ratings * work.moved / peaks[level] for level in ("cache", "memory"))
    distance = record["seconds"] / max(arithmetic, cache)
    times = {"arithmetic": arithmetic, "cache": cache, "memory": memory, "distance": distance}
    return work._asdict() | times

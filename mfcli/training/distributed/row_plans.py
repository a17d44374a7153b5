"""What workers hold and send when they compute rows as a whole: Gibbs sampling and als."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mfcli.aligned import lanes_of
from mfcli.config import Config
from mfcli.errors import LimitError, Param
from mfcli.splits import Split
from mfcli.storage import bytes_text
from mfcli.training.distributed.row_team import row_bounds
from mfcli.training.plan import has_effects, make_plan, training_memory

if TYPE_CHECKING:
    from mfcli.clusters import Cluster


class RowShares(NamedTuple):
    """Bytes of the largest share of a worker, and bytes that travel.

    Attributes
    ----------
    ratings : int
        Number of training ratings by user, and by item: the larger one.
    packed : int
        Training ratings, by user and by item.
    other : int
        Rows of the other side, of which each worker has all.
    sent, gathered : int
        Rows that all workers receive in an epoch, and those that they return.
    """

    ratings: int
    packed: int
    other: int
    sent: int
    gathered: int


def texts_of_rows(cluster: Cluster, split: Split, config: Config) -> list[str]:
    """Return what workers hold and what travels, in words.

    Raises
    ------
    LimitError
        If a worker needs more memory for rows than its node has. Ratings go to its disk if they do
        not fit.
    """
    shares, size = row_shares(cluster, split, config), bytes_text
    workers = -(-len(cluster) // len(cluster.nodes))
    least, store = (min(getattr(n, name) for n in cluster.nodes) for name in ("memory", "store"))
    if shares.other * workers > least:
        raise LimitError(
            f"a worker needs about {size(shares.other)} for rows, and a node has {size(least)} for"
            f" {workers} of them",
            remedy=["use a smaller ", Param("k"), " or fewer ", Param("workers")],
        )
    own = ["this process also holds all ratings, and draws the effects of prior implicit"]
    return [
        f"each worker holds up to {shares.ratings:,} ratings by user and by item"
        f" ({size(shares.packed)} packed), and {size(shares.other)} of rows of the other side",
        f"each epoch sends {size(shares.sent)} of rows to workers and gathers"
        f" {size(shares.gathered)}; the object store of a node has {size(store)}",
        *(own if has_effects(config) else []),
    ]


def row_shares(cluster: Cluster, split: Split, config: Config) -> RowShares:
    """Return what workers hold and send."""
    train, row = split.train, 4 * lanes_of(config.k + config.biases)
    sides = train.users.counts, train.items.counts
    ratings = [_largest(counts, config.k, cluster.threads) for counts in sides]
    size = training_memory(
        make_plan(train, config), sum(ratings), sum(map(len, sides)), config,
        weighted=train.weight is not None, scale=split.scale,
    )["records"] // 2  # fmt: skip
    users, items = (row * len(counts) for counts in sides)
    # In Gibbs sampling, the means of items are gathered, too.
    gathered = users + items * (2 if config.optimizer == "gibbs" else 1)
    return RowShares(
        max(ratings), size, max(users, items), len(cluster) * (users + items), gathered
    )


def _largest(counts: np.ndarray, k: int, threads: tuple[int, ...]) -> int:
    """Return the largest number of ratings of a worker."""
    bounds = row_bounds(counts, k, threads)
    return max(int(counts[first:end].sum()) for first, end in pairwise(bounds))

"""Which node each worker runs on, and with how many threads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Place(NamedTuple):
    """Where a worker runs.

    Attributes
    ----------
    node : int
        Position of the node.
    threads : int
    """

    node: int
    threads: int


def places_on(cpus: Sequence[int], workers: int | None) -> tuple[Place, ...]:
    """Distribute workers over nodes in proportion to their processors.

    Parameters
    ----------
    cpus : sequence of int
        Of each node.
    workers : int, optional
        One for each node by default.

    Returns
    -------
    places : tuple of Place
        Of each worker, ordered by node. The workers of a node have equal shares of its processors.
    """
    counts = [1] * len(cpus) if workers is None else counts_on(cpus, workers)
    return tuple(
        Place(node, max(1, cpus[node] // count))
        for node, count in enumerate(counts)
        for _ in range(count)
    )


def counts_on(cpus: Sequence[int], workers: int) -> list[int]:
    """Return the number of workers on each node.

    Each worker goes where it has the largest share of the processors; ties go to the first node.
    """
    counts = [0] * len(cpus)
    for _ in range(workers):
        shares = [count / (there + 1) for count, there in zip(cpus, counts, strict=True)]
        counts[shares.index(max(shares))] += 1
    return counts

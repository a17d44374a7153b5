"""Sends to each worker what it needs: the ratings of the rows that it owns, and shared arrays.

The workers' objects are `Parts`, or have one: the calls here are ``begin``, ``append`` and
``receive``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mfcli.clusters import OBJECT
from mfcli.training.distributed.sources import (
    RowColumns,
    RowRange,
    RowsInMemory,
    Source,
    read_rows,
)

if TYPE_CHECKING:
    from mfcli.clusters import Cluster, Reference, Workers

_ROWS = 1 << 20  # ratings that are read and divided at a time: 16 MB
_ROUNDS = 2  # of pieces that workers have not taken yet, before more are sent
_LANE = "in"


def distribute(
    cluster: Cluster,
    workers: Workers,
    name: str,
    source: Source,
    owners: NDArray[np.uint16],
    side: str,
    only: Iterable[int] | None = None,
) -> None:
    """Send each worker the ratings of the users, or of the items, that it owns.

    They are in the order of the source. Each rating is read once, by a task on any node. If it
    fails, it can be called again: it begins with empty parts.

    Parameters
    ----------
    cluster : Cluster
    workers : Workers
    name : str
        Of the part at the workers, see `Parts`; one with the same name is replaced.
    source : Source
    owners : uint16 array, shape (users,) or (items,)
        The worker that owns each user or item.
    side : {"user", "item"}
    only : iterable of int, optional
        The workers to send to; by default all.

    Raises
    ------
    WorkerLostError
        If a worker is lost.
    ArtifactError
        If a node cannot read the ratings, or a worker cannot store them.
    """
    wanted = sorted(range(len(workers)) if only is None else only)
    expected = -(-len(source) // len(workers))
    begin = name, source.types, source.shape, expected
    workers.get([workers.call(worker, "begin", *begin, lane=_LANE) for worker in wanted])
    divide = _divided_columns if isinstance(source, RowsInMemory) else _divided_rows
    tasks = ((piece,) for piece in source.pieces(_ROWS))
    # One result would be fetched to the driver, so there are at least two.
    pieces = cluster.map(divide, tasks, shared=(owners, side, wanted), returns=max(len(wanted), 2))

    def calls() -> Iterator[list[Reference]]:
        for parts in pieces:
            given = zip(wanted, parts, strict=False)
            yield [workers.call(w, "append", name, part, lane=_LANE) for w, part in given]

    _in_rounds(workers, calls())


def share(
    cluster: Cluster,
    workers: Workers,
    name: str,
    array: NDArray[Any],
    only: Iterable[int] | None = None,
) -> None:
    """Send the same array to workers, which copy it; see `Parts.receive`.

    Objects in the store have at most 64 MB, and few of them exist at a time.

    Parameters
    ----------
    cluster : Cluster
    workers : Workers
    name : str
    array : array, shape (n, ...)
    only : iterable of int, optional
        The workers to send to; by default all.

    Raises
    ------
    WorkerLostError
        If a worker is lost.
    """
    wanted = sorted(range(len(workers)) if only is None else only)
    step = max(OBJECT // max(array[:1].nbytes, 1), 1)

    def calls() -> Iterator[list[Reference]]:
        for start in range(0, max(len(array), 1), step):
            piece = cluster.put(np.ascontiguousarray(array[start : start + step]))
            given = name, len(array), start, piece
            yield [workers.call(w, "receive", *given, lane=_LANE) for w in wanted]

    _in_rounds(workers, calls())


def _in_rounds(workers: Workers, calls: Iterator[list[Reference]]) -> None:
    """Make calls, and wait for earlier ones, so that the store holds few objects at a time."""
    pending: deque[list[Reference]] = deque()
    for made in calls:
        pending.append(made)
        if len(pending) > _ROUNDS:
            workers.get(pending.popleft())
    while pending:
        workers.get(pending.popleft())


def _divided_rows(
    owners: NDArray[np.uint16], side: str, wanted: Sequence[int], piece: RowRange
) -> list[RowColumns]:
    """Read some ratings, and return those of each worker."""
    return _divided_columns(owners, side, wanted, read_rows(*piece))


def _divided_columns(
    owners: NDArray[np.uint16], side: str, wanted: Sequence[int], columns: RowColumns
) -> list[RowColumns]:
    keys = owners[columns[side]]
    # NumPy sorts numbers of 16 bits by counting, which keeps the order of equal ones.
    order = np.argsort(keys, kind="stable")
    ends = np.searchsorted(keys, wanted, "right", order)
    starts = np.searchsorted(keys, wanted, "left", order)
    parts = [order[start:end] for start, end in zip(starts, ends, strict=True)]
    found = [{name: column[part] for name, column in columns.items()} for part in parts]
    return found + [{}] * (2 - len(found))

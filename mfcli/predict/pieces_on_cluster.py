"""Pieces of a file, worked on by a cluster."""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from mfcli.clusters import Cluster
from mfcli.data import Refused
from mfcli.errors import MfcliError
from mfcli.model import map_shared
from mfcli.storage import in_order, threads_of

_MOST = 8  # pieces of a task, so that it takes much longer than to send them

Piece = TypeVar("Piece")
Result = TypeVar("Result")


@dataclass(frozen=True)
class OnCluster:
    """Applies functions to pieces as `in_order` does; the function and the pieces are pickled."""

    cluster: Cluster

    def __call__(
        self, pieces: Iterable[tuple[Piece, int]], work: Callable[[Piece], Result], threads: int
    ) -> Iterator[tuple[Result, int]]:
        """Yield results in the order of the pieces; the workers choose the threads."""
        # All threads of a worker are busy with a task.
        size = min(2 * max(self.cluster.threads), _MOST)
        positions = deque[list[int]]()

        def groups() -> Iterator[list[Piece]]:
            for group in _batched(pieces, size):
                positions.append([position for _, position in group])
                yield [piece for piece, _ in group]

        # With a size, because Ray cannot pickle views of bytes.
        results = map_shared(self.cluster, _apply, work, groups(), nbytes=1)
        with contextlib.closing(results) as found:
            for done, error in found:
                yield from zip(done, positions.popleft(), strict=False)
                if error is not None:
                    raise error


def _batched(values: Iterable[Piece], size: int) -> Iterator[list[Piece]]:
    rest = iter(values)
    while group := list(itertools.islice(rest, size)):
        yield group


def _apply(work: Callable[[Any], Any], pieces: Sequence[Any]) -> tuple[list[Any], Exception | None]:
    """Return the results of pieces up to the first error, and that error; on a worker."""
    done: list[Any] = []
    try:
        for result, _ in in_order(((piece, 0) for piece in pieces), work, threads_of(None)):
            done.append(result)
    except (MfcliError, Refused) as error:
        return done, error
    return done, None

"""Work on the pieces of a file on several threads, with results in the order of the file."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Piece = TypeVar("Piece")
Result = TypeVar("Result")


def in_order(
    pieces: Iterable[tuple[Piece, int]], work: Callable[[Piece], Result], threads: int
) -> Iterator[tuple[Result, int]]:
    """Yield what `work` makes of each piece, while the next pieces are worked on.

    Parameters
    ----------
    pieces : iterable of (piece, int)
        Pieces, each with the number of bytes read so far. At most `threads` + 2 of them are in
        memory.
    work : callable
        Must release Python's lock for several threads to help.
    threads : int

    Yields
    ------
    result, int
        In the order of the pieces, each with its number of bytes. An error of `work` is raised when
        it is the turn of its piece.
    """
    with ThreadPoolExecutor(threads) as pool:
        pending: deque[tuple[Future[Result], int]] = deque()
        try:
            for piece, position in pieces:
                pending.append((pool.submit(work, piece), position))
                if len(pending) > threads + 1:
                    future, done = pending.popleft()
                    yield future.result(), done
            while pending:
                future, done = pending.popleft()
                yield future.result(), done
        finally:
            for future, _ in pending:
                future.cancel()

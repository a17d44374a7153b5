"""Calls of workers to each other, which do not pass through the driver."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from mfcli.clusters.library import exceptions
from mfcli.clusters.references import Reference


class Peers:
    """All workers, as one of them sees them.

    Parameters
    ----------
    actors : sequence
        Of Ray, by the number of the worker.
    losses : int
        How many losses of workers the driver knew when it made them known to each other; calls
        from before another loss do nothing.
    """

    def __init__(self, actors: Sequence[Any], losses: int) -> None:
        self._actors, self._losses = actors, losses
        self._ends: dict[tuple[int, str], Reference] = {}

    def call(self, worker: int, method: str, *args: Any, lane: str) -> None:
        """Call a method of the object of a worker, as `Workers.call` does.

        Nobody learns of its result or its error: the object must report them.
        """
        call = getattr(self._actors[worker], f"call_{lane}").options(num_returns=2)
        before = self._ends.get((worker, lane))
        with contextlib.suppress(exceptions().RayError):  # the driver notices who is lost
            _, self._ends[worker, lane] = call.remote(self._losses, 1, before, method, *args)

"""What runs in the processes of workers."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

from mfcli.clusters.failures import Failure, failure_of, first_failure
from mfcli.clusters.library import ray
from mfcli.errors import MfcliWarning
from mfcli.storage import share_threads

HEALTH = "health"
"""The thread of an actor that only answers whether it lives."""


def run_task(returns: int, threads: int, after: object, function: Any, *args: Any) -> Any:
    """Run a stateless task.

    Parameters
    ----------
    returns : int
        Number of results.
    threads : int
        Threads that code uses by default.
    after : object
        Result of a call that must have ended before.
    function : callable
    *args : object

    Returns
    -------
    results : tuple
        The results, and a list of the warnings for the user, on which the next task can wait.
    """
    share_threads(threads)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always", MfcliWarning)
        results = _results(returns, lambda: function(*args), args)
    return (*results, [one.message for one in found if isinstance(one.message, MfcliWarning)])


class Host:
    """An actor of Ray that holds an object.

    Parameters
    ----------
    threads : int
        Threads that code uses by default.
    """

    def __init__(self, threads: int) -> None:
        share_threads(threads)
        self._object: Any = None
        self._losses = 0

    def ping(self) -> None:
        """Return if the process is alive."""

    def make(self, make: Callable[..., Any], *args: Any) -> Failure | None:
        """Make the object; return the failure if there is one."""

        def hold() -> None:
            self._object = make(*args)

        return _results(1, hold, args)[0]  # type: ignore[no-any-return]

    def call(self, losses: int, returns: int, after: object, method: str, *args: Any) -> Any:
        """Call a method of the object; return its results, and None.

        A call from before a loss of workers, of which the driver knew `losses`, does nothing if one
        from after it has begun: nobody waits for it, and it could undo what that one does.
        """
        if losses < self._losses:
            return (None,) * (returns + 1)
        self._losses = losses
        return *_results(returns, lambda: getattr(self._object, method)(*args), args), None


@functools.cache
def host_class(lanes: tuple[str, ...]) -> type:
    """Return the class of an actor that has the methods `call_LANE`, each with a thread.

    Ray takes the thread of a call from its method. An option of the call would do as well, but
    clients outside the cluster have none.
    """
    methods: dict[str, Any] = {f"call_{lane}": _method(Host.call, lane) for lane in lanes}
    methods |= {"make": _method(Host.make, lanes[0]), "ping": _method(Host.ping, HEALTH)}
    return type("LaneHost", (Host,), methods)


def _method(method: Callable[..., Any], lane: str) -> Any:
    def call(self: Host, *args: Any) -> Any:
        return method(self, *args)

    return ray().method(concurrency_group=lane)(call)


def _results(returns: int, work: Callable[[], Any], args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the results of some work, or its failure in place of each of them.

    A failure among the arguments is that of the work.
    """
    failure = first_failure(args)
    if failure is None:
        try:
            values = work()
            return (values,) if returns == 1 else tuple(values)
        except Exception as error:
            failure = failure_of(error, ray().util.get_node_ip_address())
    return (failure,) * returns

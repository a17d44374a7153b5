"""What a cluster in use does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from mfcli.clusters.failures import fetched
from mfcli.clusters.processors import Processors
from mfcli.clusters.references import Reference
from mfcli.clusters.tasks import Tasks, put
from mfcli.clusters.team import Team
from mfcli.clusters.workers import Workers


class Cluster:
    """Machines that run tasks and workers.

    Attributes
    ----------
    address : str
        As it was given.
    nodes : tuple of Node
    threads : tuple of int
        Of each worker.
    retries : int
        How often lost tasks and workers run again.
    processors : Processors
        Of the workers.
    computing : float
        Seconds in which workers computed, added up by what uses them.
    """

    def __init__(self, address: str, team: Team, retries: int) -> None:
        self.address = address
        self.nodes, self.threads, self.retries = team.nodes, team.threads, retries
        self.processors, self.computing = team.processors, 0.0
        self._homes, self._options = team.homes, _options(team.processors)
        self._tasks = Tasks(team.homes, team.threads, retries, self._options)
        self._started: list[Workers] = []

    def __len__(self) -> int:
        """Return the number of workers."""
        return len(self.threads)

    def put(self, value: Any) -> Reference:
        """Put an object into the store, from which all workers read it."""
        return put(value)

    def get(self, references: Any) -> Any:
        """Return the value of a reference, or a list of the values of several.

        Raises
        ------
        MfcliError
            If the code that computes a value raised an error.
        WorkerLostError
            If a value is lost.
        """
        return fetched(references)

    def map(
        self,
        function: Callable[..., Any],
        tasks: Iterable[tuple[Any, ...]],
        *,
        shared: tuple[Any, ...] = (),
        returns: int = 1,
    ) -> Iterator[Any]:
        """Run a function for each of some tasks on the workers.

        Parameters
        ----------
        function : callable
            Of a module that workers can import. It runs again if its worker is lost, so it must
            depend on its arguments only.
        tasks : iterable of tuple
            The last arguments of each call. References are replaced by their values.
        shared : tuple
            The first arguments of all calls, which are put into the store once.
        returns : int
            Number of values that the function returns.

        Yields
        ------
        result : object, or list of references if `returns` is not 1
            In the order of the tasks, after the warnings of the function if it returns one value.
            At most twice as many as there are workers are computed
            before they are yielded.

        Raises
        ------
        MfcliError
            That the function raised.
        ClusterError
            If a task is lost too often.
        """
        return self._tasks.map(function, tasks, shared, returns)

    def start(self, make: Callable[..., Any], *args: Any) -> Workers:
        """Start workers that keep data.

        Parameters
        ----------
        make : callable
            ``make(number, *args)`` returns the object that the worker with this number holds.
        *args : object
            References are replaced by their values.

        Raises
        ------
        MfcliError
            If `make` raises an error.
        ClusterError
            If workers are lost too often.
        """
        workers = Workers(self._homes, self.threads, self.retries, make, args, self._options)
        self._started.append(workers)
        return workers

    def close(self) -> None:
        """End all workers."""
        for workers in self._started:
            workers.close()


def _options(processors: Processors) -> dict[str, Any]:
    variables = processors.environment
    # Only if there are any: Ray cannot use processes that it has started before.
    return {"runtime_env": {"env_vars": variables}} if variables else {}

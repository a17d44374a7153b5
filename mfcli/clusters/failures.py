"""Failures in workers, and how they arrive where they are waited for.

An error of the code is a result like any other: Ray would add its own text and its own class.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mfcli.clusters.library import exceptions, ray
from mfcli.errors import ClusterError, MfcliError


class WorkerLostError(Exception):
    """A worker, its node, or an object of the store was lost.

    Attributes
    ----------
    workers : tuple of int
        Numbers of the workers that are dead, where they are known.
    """

    def __init__(self, reason: str, workers: tuple[int, ...] = ()) -> None:
        super().__init__(reason)
        self.workers = workers


@dataclass(frozen=True)
class Failure:
    """The result of code that raised an error."""

    error: MfcliError


def failure_of(error: Exception, node: str) -> Failure:
    """Return an error as a result; one that is not of mfcli is named in one line."""
    if isinstance(error, MfcliError):
        return Failure(error)
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return Failure(ClusterError(f"a worker failed with {text}", place=node))


def first_failure(values: Iterable[Any]) -> Failure | None:
    """Return the first failure among values."""
    return next((value for value in values if isinstance(value, Failure)), None)


def fetched(references: Any, timeout: float | None = None) -> Any:
    """Return the value of a reference, or the list of the values of several.

    Parameters
    ----------
    references : reference or sequence of references
    timeout : float, optional
        Seconds.

    Raises
    ------
    MfcliError
        If the code that computes a value raised an error.
    WorkerLostError
        If a value is lost.
    TimeoutError
        If the values are not there in time.
    """
    several = isinstance(references, Sequence)
    values = _values(list(references) if several else [references], timeout)
    failure = first_failure(values)
    if failure:
        raise failure.error
    return values if several else values[0]


def _values(references: list[Any], timeout: float | None) -> list[Any]:
    errors = exceptions()
    try:
        return list(ray().get(references, timeout=timeout))
    except errors.GetTimeoutError:
        raise TimeoutError from None
    except errors.RayError as error:
        if is_loss(error):
            raise WorkerLostError(first_line(error)) from None
        raise ClusterError(f"a worker failed with {first_line(cause_of(error))}") from error


def cause_of(error: BaseException) -> BaseException:
    """Return the error of the code that an error of Ray reports, or else that error."""
    is_report = isinstance(error, exceptions().RayTaskError)
    cause = getattr(error, "cause", None) if is_report else None
    return cause_of(cause) if cause else error


def is_loss(error: BaseException) -> bool:
    """Return whether an error of Ray means that a process, a node or an object was lost."""
    errors = exceptions()
    losses = (
        errors.RayActorError,
        errors.WorkerCrashedError,
        errors.NodeDiedError,
        errors.ObjectLostError,
        errors.OutOfMemoryError,
        errors.TaskUnschedulableError,
        errors.ActorUnschedulableError,
    )
    return isinstance(cause_of(error), losses)  # an argument of a call may be lost


def after(retries: int) -> str:
    """Return a number of retries in words."""
    return f"after {retries} {'retry' if retries == 1 else 'retries'}"


def first_line(error: BaseException) -> str:
    """Return the class of an error, and the first line of its text."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0].rstrip(':')}" if lines else type(error).__name__

"""Connections to Ray."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mfcli.clusters.addresses import LOCAL, checked_address, is_client
from mfcli.clusters.failures import first_line
from mfcli.clusters.library import exceptions, is_connected, ray
from mfcli.clusters.local_processes import end_processes_in
from mfcli.clusters.unchanged_process import quiet, same_signals
from mfcli.errors import ClusterError, Param, Text
from mfcli.storage import cores, resources, scratch_folder, stderr_held

_CLIENT_TRIES = 2
_STORE = 1 << 30  # bytes, of which only those in use take memory
_SHORT = Path("/tmp")
_LONGEST = 40  # characters of a folder in which the names of Ray's sockets are not too long


@contextlib.contextmanager
def connected(address: str) -> Iterator[None]:
    """Connect to a cluster, or start one on this machine, while the block runs.

    A connection that the process has already is used, and stays.

    Raises
    ------
    UsageError
        If the address has no known form.
    ClusterError
        If the cluster cannot be reached.
    """
    if is_connected():
        yield
        return
    with contextlib.ExitStack() as stack:
        stack.enter_context(quiet())
        options: dict[str, Any] = {"address": checked_address(address), "log_to_driver": False}
        if address == LOCAL:
            options |= _local(stack.enter_context(_short_folder()))
        # Before Ray starts, because a signal may interrupt that.
        stack.callback(_disconnect)
        _connect(options)
        yield


def _local(folder: Path) -> dict[str, Any]:
    return {
        "num_cpus": cores(),
        "include_dashboard": False,
        "object_store_memory": _STORE,
        "_temp_dir": str(folder),
    }


@contextlib.contextmanager
def _short_folder() -> Iterator[Path]:
    """Yield a temporary folder for Ray, in that of mfcli unless its name is too long."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(scratch_folder(end_processes_in))
        if len(str(folder)) > _LONGEST and _SHORT.is_dir():
            with resources(temp=_SHORT):
                folder = stack.enter_context(scratch_folder(end_processes_in))
        yield folder


def _connect(options: dict[str, Any]) -> None:
    address = options["address"]
    if not is_client(address):
        options = {**options, "configure_logging": False}
    failures = (exceptions().RayError, OSError, RuntimeError, ValueError, AssertionError)
    failed: Exception | None = None
    with same_signals(), stderr_held():
        for left in range(_CLIENT_TRIES if is_client(address) else 1, 0, -1):
            try:
                ray().init(**options)
                failed = None
                break
            except failures as error:
                failed = error
                # The server starts a process for each client, and gives it little time.
                if left == 1 or not isinstance(error, ConnectionAbortedError):
                    break
    if failed:
        rule = f"cannot be used: {first_line(failed)}"
        raise ClusterError(rule, place=address, remedy=_remedy(address, failed)) from failed
    if is_client(address):
        _disable_messages()


def _disable_messages() -> None:
    """Ask the server for no messages of workers, which the client would print."""
    ray()
    from ray.util import client

    module: Any = client.ray
    with contextlib.suppress(AttributeError):
        module.get_context().client_worker.log_client.disable_logs()


def _remedy(address: str, error: BaseException) -> Text:
    if address == LOCAL:
        return ""
    if is_client(address) or _is_refused(error):
        return "if the cluster has a token, set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN to it"
    return _OUTSIDE


def _is_refused(error: BaseException | None) -> bool:
    """Return whether a wrong or missing token is a cause of an error."""
    while error is not None:
        if "AuthenticationError" in f"{type(error).__name__}: {error}":
            return True
        error = error.__cause__
    return False


_OUTSIDE: Text = ["from outside the cluster, use ", Param("address", "ray://HOST:10001")]


def _disconnect() -> None:
    with same_signals(), contextlib.suppress(exceptions().RayError, OSError, RuntimeError):
        ray().shutdown()

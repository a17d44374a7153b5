"""Addresses of clusters."""

from __future__ import annotations

import os
import re
import socket

from mfcli.clusters.library import ray
from mfcli.errors import ClusterError, Param, Text, UsageError

LOCAL, AUTO = "local", "auto"
_CLIENT = "ray://"
_PATIENCE = 5.0  # seconds
_FORM = re.compile(rf"(?:{_CLIENT})?\[?([^\[\]/\s]+?)\]?:(\d{{1,5}})")


def checked_address(address: str) -> str:
    """Return the address to give to Ray, after a check that something answers there.

    Ray itself tries again for up to two minutes, and prints messages.

    Raises
    ------
    UsageError
        If the address has another form.
    ClusterError
        If nothing answers, or there is no cluster.
    """
    if address == LOCAL:
        return address
    chosen = os.environ.get("RAY_ADDRESS") or AUTO if address == AUTO else address
    # "auto" stays, because Ray then uses the token of this machine if the cluster needs it.
    _check_reachable(_found() if chosen == AUTO else chosen)
    return chosen


def _check_reachable(address: str) -> None:
    match = _FORM.fullmatch(address)
    if not match or int(match[2]) >= 1 << 16:
        rule = "is not the address of a Ray cluster"
        remedy = "use auto, local, HOST:PORT, or ray://HOST:PORT"
        raise UsageError(rule, param="address", value=address, remedy=remedy)
    try:
        socket.create_connection((match[1], int(match[2])), _PATIENCE).close()
    except OSError as error:
        reason = "no answer" if isinstance(error, TimeoutError) else error.strerror or error
        remedy = "start Ray there, see ray start --help"
        raise ClusterError(f"cannot be reached: {reason}", place=address, remedy=remedy) from None


def is_client(address: str) -> bool:
    """Return whether an address is that of a server for clients outside the cluster."""
    return address.startswith(_CLIENT)


def _found() -> str:
    """Return the address of the cluster that this machine is a part of."""
    ray()
    from ray._private.services import canonicalize_bootstrap_address

    try:
        found = canonicalize_bootstrap_address(AUTO)
    except ConnectionError:
        found = None
    if not found:
        rule = "no Ray cluster runs on this machine"
        remedy: Text = ["start one with ray start --head, or use ", Param("address", LOCAL)]
        raise ClusterError(rule, remedy=remedy)
    return str(found)

"""The block in which this process uses a cluster."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from mfcli.arguments import check_count, check_type
from mfcli.clusters.connection import connected
from mfcli.clusters.current import RETRIES, in_use
from mfcli.clusters.library import ray
from mfcli.clusters.running_cluster import Cluster
from mfcli.clusters.team import team_of
from mfcli.errors import UsageError


@contextlib.contextmanager
def cluster(
    address: str = "auto", *, workers: int | None = None, retries: int = RETRIES
) -> Iterator[Cluster]:
    """Use a Ray cluster while the block runs.

    Results do not depend on the cluster or on the number of workers, except those of gradient
    descent without `Config.blocks`, which are then chosen for the workers.

    Parameters
    ----------
    address : str
        "auto" for the cluster of this machine, "local" to start one with this machine only,
        "host:port", or "ray://host:port" from outside the cluster.
    workers : int, optional
        One for each node by default.
    retries : int
        How often lost tasks and workers run again.

    Raises
    ------
    UsageError
        If an argument breaks its rule, or Ray is not installed.
    ClusterError
        If the cluster cannot be used.
    """
    check_type(address, str, "address")
    if workers is not None:
        check_count(workers, "workers", 1)
    check_count(retries, "retries", 0)
    if in_use:
        raise UsageError("a cluster is in use already", remedy="end its block first")
    ray()
    with connected(address), team_of(address, workers) as team:
        made = Cluster(address, team, retries)
        in_use.append(made)
        try:
            yield made
        finally:
            in_use.clear()
            made.close()

"""The cluster in use, which most code asks for without loading more of this package."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mfcli.clusters.running_cluster import Cluster

RETRIES = 3
"""How often lost tasks and workers run again by default."""

in_use: list[Cluster] = []


def current_cluster() -> Cluster | None:
    """Return the cluster in use; None in tasks and workers."""
    return in_use[-1] if in_use else None

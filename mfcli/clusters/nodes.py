"""The nodes of a cluster."""

from __future__ import annotations

from typing import Any, NamedTuple

from mfcli.clusters.library import ray


class Node(NamedTuple):
    """A machine of a cluster.

    Attributes
    ----------
    address : str
        Of the network.
    cpus : int
        Processors that Ray may use.
    memory : int
        Bytes that Ray may use, without the object store.
    store : int
        Bytes of the object store.
    id : str
        Of Ray.
    """

    address: str
    cpus: int
    memory: int
    store: int
    id: str


def living_nodes() -> tuple[Node, ...]:
    """Return the nodes that run and have processors, by address."""
    return tuple(sorted(_node(entry) for entry in ray().nodes() if _has_room(entry)))


def _has_room(entry: dict[str, Any]) -> bool:
    return bool(entry["Alive"]) and entry["Resources"].get("CPU", 0) >= 1


def _node(entry: dict[str, Any]) -> Node:
    found = entry["Resources"]
    cpus, memory, store = (
        int(found.get(name, 0)) for name in ("CPU", "memory", "object_store_memory")
    )
    return Node(entry["NodeManagerAddress"], cpus, memory, store, entry["NodeID"])

"""Nodes, their machines and their processors, for the workers of a cluster."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

from mfcli.clusters.machines import check_machines, machines_of
from mfcli.clusters.nodes import Node, living_nodes
from mfcli.clusters.placement import places_on
from mfcli.clusters.processors import Processors, processors_in_common
from mfcli.clusters.reservation import reserved
from mfcli.errors import ClusterError


class Team(NamedTuple):
    """Where workers run.

    Attributes
    ----------
    nodes : tuple of Node
    homes : tuple of str
        The node of each worker.
    threads : tuple of int
        Of each worker.
    processors : Processors
    """

    nodes: tuple[Node, ...]
    homes: tuple[str, ...]
    threads: tuple[int, ...]
    processors: Processors


@contextlib.contextmanager
def team_of(address: str, workers: int | None) -> Iterator[Team]:
    """Choose and reserve nodes for workers while the block runs; one on each node by default.

    Raises
    ------
    ClusterError
        If the nodes cannot be used.
    """
    nodes = living_nodes()
    if not nodes:
        raise ClusterError("no node has processors for Ray", place=address)
    places = places_on([node.cpus for node in nodes], workers)
    with reserved(nodes, places) as homes:
        machines = machines_of(nodes)  # all: workers may move to any of them
        check_machines(nodes, machines)
        processors = processors_in_common([machine.processor for machine in machines])
        yield Team(nodes, homes, tuple(place.threads for place in places), processors)

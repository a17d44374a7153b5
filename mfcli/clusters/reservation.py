"""Processors that Ray keeps free of other jobs while a cluster is in use.

Workers and tasks ask Ray for no processors themselves: those that take the place of lost ones must
run even if they share the processors of another node.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from mfcli.clusters.library import exceptions, ray
from mfcli.clusters.nodes import Node
from mfcli.clusters.placement import Place
from mfcli.errors import ClusterError, Param

_PATIENCE = 20.0  # seconds to wait for processors


@contextlib.contextmanager
def reserved(nodes: Sequence[Node], places: Sequence[Place]) -> Iterator[tuple[str, ...]]:
    """Reserve the processors of all workers while the block runs.

    Yields
    ------
    homes : tuple of str
        The node of each worker. Ray may choose another node than the place of a worker names, if
        that one has as many free processors.

    Raises
    ------
    ClusterError
        If other jobs use the processors.
    """
    ray()
    from ray.util import placement_group, placement_group_table, remove_placement_group

    cpus: Counter[int] = Counter()
    for place in places:
        cpus[place.node] += place.threads
    bundles = {node: {"CPU": min(count, nodes[node].cpus)} for node, count in cpus.items()}
    strategy = "STRICT_SPREAD" if len(bundles) > 1 else "PACK"
    group = placement_group([*bundles.values()], strategy=strategy)
    try:
        _wait(group, sum(cpus.values()))
        found = placement_group_table(group)["bundles_to_node_id"]
        homes = dict(zip(bundles, (found[n] for n in range(len(bundles))), strict=True))
        yield tuple(homes[place.node] for place in places)
    finally:
        with contextlib.suppress(exceptions().RayError, ConnectionError):
            remove_placement_group(group)


def _wait(group: Any, cpus: int) -> None:
    if not group.wait(_PATIENCE):
        raise ClusterError(
            f"{cpus} CPUs were not free within {_PATIENCE:.0f} seconds",
            remedy=["wait for other jobs, or lower ", Param("workers")],
        )

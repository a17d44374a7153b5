"""What the machines of a cluster must have in common."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from mfcli.clusters.failures import cause_of, first_line, is_loss
from mfcli.clusters.library import exceptions, on_node, ray
from mfcli.clusters.nodes import Node
from mfcli.clusters.processors import Processor, this_processor
from mfcli.errors import ClusterError, warn
from mfcli.storage import bytes_text

_LEAST_STORE = 128 << 20  # bytes: two of the largest objects
_SHARED_MEMORY = Path("/dev/shm")


class Machine(NamedTuple):
    """What a machine has.

    Attributes
    ----------
    versions : dict of str to str
        Of the libraries on which results depend.
    processor : Processor
    shared_memory : int or None
        Bytes for Ray's store; None where the system has no folder for it.
    """

    versions: dict[str, str]
    processor: Processor
    shared_memory: int | None


def versions() -> dict[str, str]:
    """Return the versions of the libraries on which results depend."""
    from mfcli import __version__

    return {"mfcli": __version__, **{name: metadata.version(name) for name in ("numpy", "numba")}}


def this_machine() -> Machine:
    """Describe the machine that this process runs on."""
    room = shutil.disk_usage(_SHARED_MEMORY).total if _SHARED_MEMORY.is_dir() else None
    return Machine(versions(), this_processor(), room)


_known: dict[str, Machine] = {}  # by node; a machine that starts Ray again is another node


def machines_of(nodes: Sequence[Node]) -> list[Machine]:
    """Describe the machines of some nodes.

    Raises
    ------
    ClusterError
        If workers cannot load mfcli there.
    """
    describe = ray().remote(num_cpus=0)(this_machine)
    asked = {
        node: describe.options(scheduling_strategy=on_node(node.id, soft=False)).remote()
        for node in nodes
        if node.id not in _known
    }
    for node, reference in asked.items():
        _known[node.id] = _described(node, reference)
    return [_known[node.id] for node in nodes]


def _described(node: Node, reference: Any) -> Machine:
    from mfcli import __version__

    try:
        return ray().get(reference)  # type: ignore[no-any-return]
    except exceptions().RayError as error:
        if is_loss(error):
            raise ClusterError("the node was lost", place=node.address) from error
        rule = f"mfcli cannot be loaded: {first_line(cause_of(error))}"
        remedy = f"install mfcli {__version__} on all nodes"
        raise ClusterError(rule, place=node.address, remedy=remedy) from error


def check_machines(nodes: Sequence[Node], machines: Sequence[Machine]) -> None:
    """Check that the versions of libraries are those of this process; warn about small stores.

    Raises
    ------
    ClusterError
        If a machine has another version.
    """
    here = versions()
    for node, machine in zip(nodes, machines, strict=True):
        for name, version in machine.versions.items():
            if version != here[name]:
                rule = f"has {name} {version}, this process has {here[name]}"
                raise ClusterError(rule, place=node.address, remedy="install the same versions")
    # Several nodes may be on the same machine, about which one warning is enough.
    by_address = {pair[0].address: pair for pair in zip(nodes, machines, strict=True)}
    for node, machine in by_address.values():
        _warn_of_store(node, machine)


def _warn_of_store(node: Node, machine: Machine) -> None:
    size, room = bytes_text(node.store), machine.shared_memory
    if node.store < _LEAST_STORE:
        remedy = "start Ray with a larger --object-store-memory"
        warn(f"the object store of Ray has only {size}", place=node.address, remedy=remedy)
    elif room is not None and room < node.store:
        rule = f"objects are slow, because the object store has {size}, /dev/shm {bytes_text(room)}"
        warn(rule, place=node.address, remedy="start the container with a larger --shm-size")

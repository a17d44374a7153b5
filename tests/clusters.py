"""A cluster of two nodes on this machine, and code that its workers run."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from mfcli.clusters.nodes import living_nodes
from mfcli.clusters.unchanged_process import quiet, same_signals
from mfcli.errors import DataError, Param, warn
from mfcli.storage import threads_of

NODE = {"num_cpus": 1, "object_store_memory": 150 << 20, "include_dashboard": False}

CHECKS = {"health_check_initial_delay_ms": 1000, "health_check_period_ms": 500}
"""How often Ray checks whether a node lives; by default, a loss is noticed after 15 seconds."""


class Machines(NamedTuple):
    """A running cluster, to which this process is connected.

    Attributes
    ----------
    cluster : ray.cluster_utils.Cluster
    client : str
        The address for clients.
    """

    cluster: Any
    client: str

    @contextlib.contextmanager
    def another_node(self) -> Iterator[Any]:
        """Yield a third node, and remove it afterwards, unless that was done."""
        with same_signals():
            node = self.cluster.add_node(**NODE)
        try:
            yield node
        finally:
            if node in self.cluster.worker_nodes:
                self.cluster.remove_node(node)
            self._wait_for_the_end_of(node.node_id)

    def _wait_for_the_end_of(self, name: str) -> None:
        """Wait until Ray has noticed that a node is gone."""
        end = time.monotonic() + 30
        while any(node.id == name for node in living_nodes()):
            assert time.monotonic() < end
            time.sleep(0.1)


@contextlib.contextmanager
def two_nodes() -> Iterator[Machines]:
    """Start two nodes with a processor each, and connect this process to them."""
    ray = pytest.importorskip("ray", reason="Ray has no package for this Python")
    from ray.cluster_utils import Cluster

    port = _free_port()
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # names of sockets must be short
    with quiet(), contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        os.environ["RAY_AUTH_MODE"] = "disabled"  # no file with a token in the home folder
        stack.callback(os.environ.update, PYTHONPATH=os.environ.get("PYTHONPATH", ""))
        os.environ["PYTHONPATH"] = python_path()
        with same_signals():
            cluster = Cluster()
            stack.callback(cluster.shutdown)
            cluster.add_node(
                temp_dir=folder, ray_client_server_port=port, _system_config=CHECKS, **NODE
            )
            cluster.add_node(**NODE)
            ray.init(cluster.address, log_to_driver=False, configure_logging=False)
        stack.callback(ray.shutdown)
        yield Machines(cluster, f"ray://127.0.0.1:{port}")


def python_path() -> str:
    """Return the search path with which workers find the code of tests."""
    return os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])


def _free_port() -> int:
    """Return a free port below those that Ray uses itself."""
    for port in range(9000 + os.getpid() % 500, 10_000):
        with contextlib.suppress(OSError), socket.socket() as one:
            one.bind(("127.0.0.1", port))
            return port
    raise OSError("no port is free")


# ---------------------------------------------------------------------------
# Tasks


def product(x: int, y: int) -> int:
    return x * y


def facts() -> dict[str, Any]:
    """Describe the process of a task."""
    from mfcli.clusters import current_cluster

    return {
        "threads": threads_of(None),
        "pid": os.getpid(),
        "cluster": current_cluster(),
        "numba": {name: os.environ.get(f"NUMBA_CPU_{name}") for name in ("NAME", "FEATURES")},
    }


def node() -> str:
    import ray

    return str(ray.get_runtime_context().get_node_id())


def refuse(value: object) -> None:
    raise DataError(
        "is refused", place="here", param="k", value=value, remedy=["use ", Param("k", 2)]
    )


def divide(x: int) -> float:
    return 1 / x


def advise(x: int) -> int:
    warn(f"{x} is small", remedy="use more")
    return x


def die_once(path: str, x: int) -> int:
    """End the process the first time that it is called with 1."""
    if x == 1 and not Path(path).exists():
        Path(path).touch()
        os._exit(1)
    return x


class Deadly:
    """A value that ends the process which unpickles it, but only the first one."""

    def __init__(self, value: object, path: str) -> None:
        self._value, self._path = value, path

    def __reduce__(self) -> Any:
        return survived, (self._value, self._path)


def survived(value: object, path: str) -> object:
    die_once(path, 1)
    return value


def die(x: int) -> None:
    os._exit(x)


def halves(values: Any) -> tuple[Any, Any]:
    middle = len(values) // 2
    return values[:middle], values[middle:]


def is_writable(values: Any) -> bool:
    return bool(values.flags.writeable)


def note(path: str, text: str, seconds: float) -> str:
    """Add a line to a file when it begins and when it ends."""
    for line in (f"begin {text}", f"end {text}"):
        with Path(path).open("a") as file:
            file.write(f"{line}\n")
        time.sleep(seconds)
    return text


def wait_for(path: str, seconds: float = 60) -> float:
    """Wait for a file; return the seconds that are left."""
    end = time.monotonic() + seconds
    while not Path(path).exists() and time.monotonic() < end:
        time.sleep(0.01)
    return end - time.monotonic()


def last_of(path: str, x: int) -> tuple[int, bool]:
    """Let the call with 0 end after that with 1; return whether it has waited in vain."""
    if x == 1:
        Path(path).touch()
    return x, x == 0 and wait_for(path) < 0


# ---------------------------------------------------------------------------
# Workers


class Counter:
    """Counts from a number; see `counter`."""

    def __init__(self, number: int, start: int) -> None:
        self.number, self.count = number, start

    def add(self, amount: Any) -> int:
        self.count += int(np.sum(amount))
        return self.count

    def facts(self) -> dict[str, Any]:
        return {**facts(), "number": self.number, "node": node()}

    def refuse(self) -> None:
        refuse(self.number)

    def note(self, path: str, text: str, seconds: float) -> str:
        return note(path, text, seconds)

    def wait(self, path: str) -> float:
        return wait_for(path)

    def both(self) -> tuple[int, int]:
        return self.number, self.count


def counter(number: int, start: int) -> Counter:
    return Counter(number, start)


def unusable(number: int) -> Counter:
    raise DataError("cannot be made", value=number)


def dies_once(number: int, path: str) -> Counter:
    die_once(path, number)
    return Counter(number, 0)


def dies(number: int) -> None:
    os._exit(1)

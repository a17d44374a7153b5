"""Work on a cluster whose tasks share a value, such as a model and what users have rated.

Models, and the ratings of splits, that were read from a folder are read there again, once by each
process of a worker. Everything else is pickled once, and put into the store as small objects.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import math
import os
import pickle
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mfcli.clusters import WorkerLostError
from mfcli.errors import ClusterError
from mfcli.model.reopened import reopened
from mfcli.storage import Origin, current_resources, origin_of, resources
from mfcli.types import Counts

if TYPE_CHECKING:
    from mfcli.clusters import Cluster, Reference

OBJECT = 48 << 20
"""Bytes of an object in the store, at most: large ones travel slowly between nodes."""

_TASKS = 4  # for each worker
_RESULT = 1 << 28  # bytes of the result of a task, which the driver holds
_ALIGNED = 64  # bytes; compiled code needs aligned arrays

Shared = TypeVar("Shared")
Piece = TypeVar("Piece")
Result = TypeVar("Result")


def map_shared(
    cluster: Cluster,
    function: Callable[[Shared, Piece], Result],
    value: Shared,
    pieces: Iterable[Piece],
    *,
    nbytes: int = 0,
) -> Generator[Result]:
    """Yield ``function(value, piece)`` for each piece, in their order, computed on a cluster.

    Parameters
    ----------
    cluster : Cluster
    function : callable
        Of a module, not of another function.
    value : object
        What all tasks share, and must not change.
    pieces : iterable
        Taken one by one, as workers become free.
    nbytes : int
        Bytes of a result, about. A large result is returned as several objects.

    Raises
    ------
    ArtifactError
        If a node cannot read the folder of a model or of a split, or it was replaced.
    MfcliError
        Of a task.
    """
    packed, count = _pack(value), -(-nbytes // OBJECT)
    chunks = [cluster.put(piece) for piece in packed.cut(-(-packed.nbytes // OBJECT))]
    own = current_resources()
    limits = own.memory, own.temp, own.room
    # The token tells processes that run several tasks that the value is the same.
    shared = function, limits, os.urandom(16), packed.head, count
    tasks = ((_pickled(piece), *chunks) for piece in pieces)
    results: Any = cluster.map(_call, tasks, shared=shared, returns=count + 1)
    # Closed at once, also after an error, so that tasks that nobody waits for are cancelled.
    with contextlib.closing(results) as found:
        for result in found:  # one at a time is in memory
            yield _unpack(*_fetched(cluster, result)) if count else result


def _fetched(cluster: Cluster, references: Sequence[Reference]) -> tuple[bytes, list[Any]]:
    """Return the head of a result, and the pieces of its content."""
    try:
        head, *pieces = cluster.get(references)
    except WorkerLostError as error:  # the task, which computes it again, was lost too often
        raise ClusterError(f"the result of a task was lost: {error}") from None
    return head, pieces


def even_parts(count: int, each: float, cluster: Cluster) -> list[slice]:
    """Divide users into consecutive parts of about the same size, one for each task.

    There are several for each worker, so that all are busy until the end, and more if the result
    of a task would be too large to be in memory.

    Parameters
    ----------
    count : int
    each : float
        Bytes of the result for a user.
    cluster : Cluster

    Returns
    -------
    list of slice
        At least one.
    """
    if not count:
        return [slice(0, 0)]
    parts = max(_TASKS * len(cluster), math.ceil(count * each / _RESULT))
    ends = count * np.arange(parts + 1) // parts
    return [slice(*bounds) for bounds in itertools.pairwise(np.unique(ends).tolist())]


def _call(
    function: Callable[[Any, Any], Any],
    limits: tuple[int | None, Path | None, int | None],
    token: bytes,
    head: bytes,
    count: int,
    piece: bytes,
    *chunks: NDArray[np.uint8],
) -> Any:
    """Run a function in a task; with a count, return the result in this number of objects + 1.

    The limits of the driver hold: memory, folder of temporary files if there is one, and room.
    """
    memory, temp, room = limits
    with resources(memory, temp if temp and temp.is_dir() else None, room=room):
        result = function(_value(token, head, chunks), _Unpickler(io.BytesIO(piece)).load())
    if not count:
        return result
    packed = _pack(result)
    return [packed.head, *packed.cut(count)]


def _value(token: bytes, head: bytes, chunks: Sequence[NDArray[np.uint8]]) -> Any:
    """Return what tasks share, which a process unpickles only once."""
    if _shared.token != token:
        _shared.token, _shared.value = b"", None  # only one value is in memory at a time
        _shared.value = _unpack(head, chunks)
        _shared.token = token
    return _shared.value


class _LastValue:
    """The value of the last task in this process, and its token."""

    token: bytes = b""
    value: Any = None


_shared = _LastValue()


class _Pickler(pickle.Pickler):
    """Replaces what can be read again by the place where it can be read."""

    def persistent_id(self, value: Any) -> Any:
        return origin_of(value)

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, pa.Table):  # a slice would be pickled with everything around it
            return _table, (pickle.PickleBuffer(_table_bytes(value)),)
        if isinstance(value, memoryview):
            return memoryview, (pickle.PickleBuffer(value),)
        if isinstance(value, MappingProxyType):
            return _read_only, (dict(value),)
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, origin: Origin) -> Any:
        return reopened(origin)


def _read_only(values: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(values)


def _pickled(value: object) -> bytes:
    sink = io.BytesIO()
    _Pickler(sink, protocol=5).dump(value)
    return sink.getvalue()


def _table_bytes(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _table(data: Any) -> pa.Table:
    return pa.ipc.open_stream(pa.py_buffer(data)).read_all()


class _Packed(NamedTuple):
    """A pickled value.

    Attributes
    ----------
    head : bytes
        All but the content of arrays, with the lengths of their buffers.
    buffers : list of memoryview
        The content of arrays.
    """

    head: bytes
    buffers: list[memoryview]

    @property
    def nbytes(self) -> int:
        """Bytes of the content."""
        return int(_starts(map(len, self.buffers))[-1])

    def cut(self, count: int) -> Iterator[NDArray[np.uint8]]:
        """Yield the content in a number of pieces of about the same size."""
        starts = _starts(map(len, self.buffers))
        ends = starts[-1] * np.arange(count + 1) // max(count, 1)
        for first, end in itertools.pairwise(ends.tolist()):
            piece = np.zeros(end - first, np.uint8)
            for start, buffer in zip(starts.tolist(), self.buffers, strict=False):
                low, high = max(start, first), min(start + len(buffer), end)
                if low < high:
                    piece[low - first : high - first] = buffer[low - start : high - start]
            yield piece


def _starts(lengths: Iterable[int]) -> Counts:
    """Return where buffers of some lengths begin, and the end of the last one."""
    padded = [-(-length // _ALIGNED) * _ALIGNED for length in lengths]
    return np.cumsum([0, *padded])


def _pack(value: object) -> _Packed:
    sink, buffers = io.BytesIO(), list[memoryview]()

    def keep(buffer: pickle.PickleBuffer) -> None:
        buffers.append(buffer.raw())

    _Pickler(sink, protocol=5, buffer_callback=keep).dump(value)
    return _Packed(pickle.dumps((sink.getvalue(), [*map(len, buffers)])), buffers)


def _unpack(head: bytes, pieces: Sequence[NDArray[np.uint8]]) -> Any:
    body, lengths = pickle.loads(head)
    # A copy, because what comes from the store is read-only.
    content = np.concatenate([np.zeros(0, np.uint8), *pieces])
    starts = _starts(lengths).tolist()
    buffers = [content[at : at + length] for at, length in zip(starts, lengths, strict=False)]
    return _Unpickler(io.BytesIO(body), buffers=buffers).load()

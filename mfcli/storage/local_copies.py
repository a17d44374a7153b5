"""Local copies of folders in object stores: what is written there is uploaded.

A result is several files, but a store replaces one object at a time. The records (JSON), which have
the digests of the data files, are uploaded last. Before the data of an older result are replaced,
the new records are uploaded under another name, so that whatever an interruption leaves fits the
older records or these.

Locks are those of the local copy: nothing keeps two machines from writing to the same address.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from mfcli.errors import ArtifactError
from mfcli.storage.addresses import as_local, joined, parent_and_name, without_options
from mfcli.storage.digests import sha256
from mfcli.storage.object_stores import Entry, ObjectStore
from mfcli.storage.records import Record, parse_json, record_fields, sealed_text, to_record
from mfcli.storage.scratch_files import scratch_errors, scratch_folder
from mfcli.storage.shown_places import show_as
from mfcli.storage.temporaries import remove_tree
from mfcli.types import Progress

_PENDING, _PROBE = ".mfcli-upload.json", ".mfcli-check"
_JSON = ".json"
_TRIES = 3  # of reading a folder that is replaced in the meantime


class PendingRecord(Record):
    """Describes an upload that has not finished.

    Attributes
    ----------
    files : dict of str
        Digests of the data files, by name.
    records : dict of str
        Contents of the records, by name.
    """

    FORMAT = 1

    files: dict[str, str]
    records: dict[str, str]


@dataclass(frozen=True)
class _Copy:
    """A local folder and the address that it is a copy of.

    Attributes
    ----------
    folder : Path
    store : ObjectStore
        At the address.
    entries : dict of Entry
        The files at the address when it was copied, whether they were copied or not.
    """

    folder: Path
    store: ObjectStore
    entries: dict[str, Entry] = field(default_factory=dict)

    def name_of(self, path: Path) -> str:
        """Return the name of a path in the folder."""
        return path.relative_to(self.folder).as_posix()


_copies: list[_Copy] = []  # of the process


@contextlib.contextmanager
def local_copy(
    address: str,
    wanted: Callable[[str], bool] | None = lambda name: True,
    *,
    writes: bool = False,
    on_progress: Progress = lambda done, total: None,
) -> Iterator[Path]:
    """Yield a local copy of a folder in an object store, in the folder of temporary files.

    A path is yielded as it is. What `replacing_file` and `replacing_folder` write in the copy, or
    beside it, is uploaded as soon as it is complete. If there is nothing at the address, the copy
    is missing too.

    Parameters
    ----------
    address : str
    wanted : callable, optional
        Given the name of a file, relative to the folder, tells whether it is copied. If None,
        nothing is copied, and the copy is an empty folder.
    writes : bool
        Check, before long work, that the store can be written.
    on_progress : callable, optional
        Called with the number of bytes that have been copied, and of all.

    Raises
    ------
    ArtifactError
        If the address is not valid, or the store cannot be read or written.
    """
    path = as_local(address)
    if path is not None:
        yield path
        return
    with _copied(ObjectStore(address), wanted, writes, on_progress) as folder:
        yield folder


@contextlib.contextmanager
def _copied(
    store: ObjectStore,
    wanted: Callable[[str], bool] | None,
    writes: bool,
    on_progress: Progress,
) -> Iterator[Path]:
    _, name = parent_and_name(store.address)
    with scratch_folder() as scratch:
        root = scratch.resolve()  # the temporary folder may be a link
        target, entries = root / (name or "bucket"), dict[str, Entry]()
        if wanted is None:
            target.mkdir()
        else:
            entries = _fetch(store, target, wanted, on_progress)
        if writes:
            store.upload(_PROBE, b"")
            store.delete(_PROBE)
        if name:  # with the folder that it is in, where metrics of a model go
            below = {f"{name}/{one}": entry for one, entry in entries.items()}
            copy = _Copy(root, store.folder(".."), below)
        else:
            copy = _Copy(target, store, entries)
        with _registered(copy):
            yield target


@contextlib.contextmanager
def _registered(copy: _Copy) -> Iterator[None]:
    show_as(copy.folder, copy.store.address)
    _copies.append(copy)
    try:
        yield
    finally:
        _copies.remove(copy)


def _copy_of(path: Path) -> _Copy | None:
    """Return the local copy that a path is in."""
    if not _copies:
        return None
    place = path.resolve()
    return next((copy for copy in _copies if place.is_relative_to(copy.folder)), None)


def _fetch(
    store: ObjectStore, target: Path, wanted: Callable[[str], bool], on_progress: Progress
) -> dict[str, Entry]:
    """Copy files to a folder, again if they change in the meantime, and return what there is."""
    for attempt in range(_TRIES):
        entries = store.entries()
        try:
            _fetch_once(store, entries, target, wanted, on_progress)
        except ArtifactError:
            if attempt + 1 == _TRIES or store.entries() == entries:
                raise
        else:
            if not entries or store.entries() == entries:
                return entries
        remove_tree(target)
    rule, remedy = "is being replaced all the time", "wait until the other process ends"
    raise ArtifactError(rule, place=without_options(store.address), remedy=remedy)


def _fetch_once(
    store: ObjectStore,
    entries: Mapping[str, Entry],
    target: Path,
    wanted: Callable[[str], bool],
    on_progress: Progress,
) -> None:
    pending = [name for name in entries if PurePosixPath(name).name == _PENDING]
    others = [name for name in entries if not PurePosixPath(name).name.startswith(".")]
    sizes = {name: entries[name].size for name in others if wanted(name)}
    found = {name: _pending_record(store, name) for name in pending}
    for name, record in found.items():  # all its data, which tell whether it holds
        data = (_beside(name, one) for one in record.files)
        sizes |= {one: entries[one].size for one in data if one in entries}
    with scratch_errors():
        store.fetch(sizes, target, on_progress)
        for name, record in found.items():
            _complete(target / PurePosixPath(name).parent, record)


def _pending_record(store: ObjectStore, name: str) -> PendingRecord:
    place = Path(without_options(store.address)) / name
    remedy = "delete it"
    value = parse_json(place, store.read(name), remedy=remedy)
    return to_record(place, value, PendingRecord, remedy=remedy)


def _complete(folder: Path, record: PendingRecord) -> None:
    """Put the records of an upload in place if all its data were uploaded."""
    for name, digest in record.files.items():
        path = folder / name
        if not path.is_file() or sha256(path) != digest:
            return
    for name, text in record.records.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def address_of(path: Path) -> str:
    """Return where others can read a path: the address that it is a copy of, or its full path."""
    copy = _copy_of(path)
    if copy is None:
        return str(path.absolute())
    return joined(copy.store.address, copy.name_of(path.resolve()))


def check_publishable(target: Path) -> None:
    """Refuse a folder of a local copy if there are other files at its address.

    Raises
    ------
    ArtifactError
    """
    copy = _copy_of(target)
    if copy is None:
        return
    start = f"{copy.name_of(target.resolve())}/"
    found = [name.removeprefix(start) for name in copy.entries if name.startswith(start)]
    if found and not any(name.endswith(_JSON) for name in found):
        rule = f"holds files that mfcli did not write ({min(found)!r})"
        raise ArtifactError(rule, place=target, remedy="choose another place or move them")


def publish(target: Path) -> None:
    """Upload a file or a folder of a local copy; does nothing for other paths.

    Files of the older result that are not in the new one are deleted, and so are the records of a
    folder that was removed.

    Raises
    ------
    ArtifactError
        If the store cannot be written.
    """
    copy = _copy_of(target)
    if copy is None:
        return
    name = copy.name_of(target.resolve())
    if target.is_file():
        copy.store.upload(name, target)
    else:
        _publish_folder(copy.store.folder(name), target)


def _publish_folder(store: ObjectStore, folder: Path) -> None:
    names = sorted(path.relative_to(folder).as_posix() for path in _files_in(folder))
    records = [name for name in names if name.endswith(_JSON)]
    data = [name for name in names if name not in records]
    entries = store.entries()
    older = {
        name: _fields(store.read(name))
        for name in entries
        if name.endswith(_JSON) and not PurePosixPath(name).name.startswith(".")
    }
    if data and older:
        store.upload(_PENDING, _pending(folder, data, records))
    for name in (*data, *records):
        store.upload(name, folder / name)
    # Without data, a training has begun, and the older data may come back with their record.
    stale = _listed(older) if data else {name for name in older if _is_record(older[name])}
    for name in sorted((stale & {*entries}) - {*names}):
        store.delete(name)
    if _PENDING in entries or (data and older):
        store.delete(_PENDING)


def _files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.name[0] != "."]


def _pending(folder: Path, data: list[str], records: list[str]) -> bytes:
    record = PendingRecord(
        files={name: sha256(folder / name) for name in data},
        records={name: (folder / name).read_text(encoding="utf-8") for name in records},
    )
    return sealed_text(record_fields(record)).encode()


def _fields(content: bytes) -> dict[str, Any]:
    """Return the object of a JSON file, which may be of any program."""
    with contextlib.suppress(ValueError, RecursionError):
        value = json.loads(content)
        if isinstance(value, dict):
            return value
    return {}


def _is_record(fields: Mapping[str, Any]) -> bool:
    return fields.keys() >= {"format", "mfcli"}


def _listed(records: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Return the files that records list, which mfcli has therefore written."""
    found = set[str]()
    for name, fields in records.items():
        files = fields.get("files")
        if _is_record(fields) and isinstance(files, dict):
            found |= {_beside(name, one) for one in files}
    return found


def _beside(name: str, other: str) -> str:
    """Return the name of a file in the folder of another one, whatever a record says."""
    return str(PurePosixPath(name).with_name(PurePosixPath(other).name or "-"))

"""Replacement of files and folders in one step.

The new file or folder is written next to its target, flushed to the disk and then renamed. A reader
sees the old one or the new one, and nothing in between. What is replaced must be a result of mfcli,
or a file that the user named; the new one inherits its permissions. A symbolic link stays: what it
points to is replaced. In the local copy of a folder in an object store, the new one is uploaded.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mfcli.errors import ArtifactError
from mfcli.storage.exchange import check_exchange, exchange
from mfcli.storage.inspection import check_access, existing_folder, is_inspecting
from mfcli.storage.local_copies import check_publishable, publish
from mfcli.storage.marks import check_replaced_file, check_replaced_folder
from mfcli.storage.permissions import copy_permissions
from mfcli.storage.records import Record
from mfcli.storage.temporaries import OLD, moving, recover, temporary_beside
from mfcli.storage.writing import writing


@contextlib.contextmanager
def replacing_file(target: Path, *kinds: type[Record]) -> Iterator[Path]:
    """Yield a temporary path; the file written there becomes `target` if the block succeeds.

    Parameters
    ----------
    target : Path
    *kinds : type
        The records that the target may be, if it exists. If there are none, the user chose the
        name: the target may be any file that is not part of a result of mfcli.

    Raises
    ------
    ArtifactError
        If the target must not be replaced or cannot be written.
    """
    with writing(target):
        _check_file(target, kinds)
        place = _place(target)
        with temporary_beside(place) as temporary:
            temporary.touch()  # so that it exists even if the block writes nothing
            yield temporary
            copy_permissions(place, temporary)
            # Before the rename, or a power failure could leave the name without the content.
            _flush(temporary)
            with moving:
                temporary.replace(place)
            _flush(place.parent)  # the rename itself
        publish(place)


@contextlib.contextmanager
def replacing_folder(target: Path, names: Sequence[str]) -> Iterator[Path]:
    """Yield a temporary folder, which becomes `target` if the block succeeds.

    Parameters
    ----------
    target : Path
        Replaced only if it is missing or empty, or has a record of mfcli and nothing but `names`.
    names : sequence of str
        The files that such a folder may contain. The first is its record.

    Raises
    ------
    ArtifactError
        If the target must not be replaced or cannot be written.
    """
    with replacing_folders({target: names}) as (folder,):
        folder.mkdir()
        yield folder
        folder.stat()  # raises if it is gone


@contextlib.contextmanager
def replacing_folders(targets: Mapping[Path, Sequence[str]]) -> Iterator[list[Path]]:
    """Yield a temporary path for each target; what is written there takes their places together.

    The folders are complete on the disk before the first one takes its place, and a signal does not
    come in between. A kill may: the first ones are then new, and the others old.

    Parameters
    ----------
    targets : mapping
        What each folder may contain, as for `replacing_folder`. In this order they take their
        places. A target stays if its temporary path does not exist after the block.

    Raises
    ------
    ArtifactError
        If a target must not be replaced or cannot be written.
    """
    with contextlib.ExitStack() as stack:
        folders: dict[Path, Path] = {}
        for target, names in targets.items():
            with writing(target):
                place = _place(target)
                # First: what is checked must be the old result, not a gap that a crash left.
                recover(place)
                _check_folder(target, names)
                folders[place] = stack.enter_context(temporary_beside(place))
        with (
            writing(next(iter(targets))),
            _named(dict(zip(folders.values(), targets, strict=True))),
        ):
            yield [*folders.values()]
            _replace_folders({place: new for place, new in folders.items() if new.exists()})


@contextlib.contextmanager
def _named(targets: Mapping[Path, Path]) -> Iterator[None]:
    """Let errors about temporary folders name the targets."""
    try:
        yield
    except ArtifactError as error:
        error.place = targets.get(Path(str(error.place)), error.place)
        raise


def _replace_folders(folders: Mapping[Path, Path]) -> None:
    """Move each new folder to its place; the names are those of the places."""
    for place, folder in folders.items():
        copy_permissions(place, folder)
        for path in (*folder.rglob("*"), folder):
            _flush(path)
    with moving:
        for place, folder in folders.items():
            exchange(folder, place, folder.with_name(OLD))
    for parent in {place.parent for place in folders}:
        _flush(parent)
    for place in folders:
        publish(place)


def check_replaceable(target: Path, names: Sequence[str]) -> None:
    """Check, before long work, that `replacing_folder` can write a folder.

    Raises
    ------
    ArtifactError
    """
    with writing(target):
        if is_inspecting():
            _check_folder(target, names)
            check_access(target)
            return
        place = _place(target)
        recover(place)
        _check_folder(target, names)
        with temporary_beside(place) as temporary:
            if place.exists():
                check_exchange(temporary, place)


def check_writable_file(target: Path, *kinds: type[Record]) -> None:
    """Check, before long work, that `replacing_file` can write a file.

    Raises
    ------
    ArtifactError
    """
    with writing(target):
        _check_file(target, kinds)
        if is_inspecting():
            check_access(target)
            return
        # A check creates no folders, so it writes into the closest one that exists.
        with temporary_beside(existing_folder(target) / target.resolve().name):
            pass


def _place(target: Path) -> Path:
    """Return what a target points to if it is a link; create its folder."""
    place = target.resolve()
    # The folders differ if the target is a link.
    for folder in (target.parent, place.parent):
        folder.mkdir(parents=True, exist_ok=True)
    return place


def _check_file(target: Path, kinds: Sequence[type[Record]]) -> None:
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a directory")
    if target.exists():
        if not target.is_file():
            rule, remedy = "must be a regular file to be replaced", "choose another place"
            raise ArtifactError(rule, place=target, remedy=remedy)
        check_replaced_file(target, kinds)


def _check_folder(target: Path, names: Sequence[str]) -> None:
    if target.exists():
        check_replaced_folder(target, names)
    check_publishable(target)


def _flush(path: Path) -> None:
    """Write a file, or the list of files of a folder, to the disk."""
    if path.is_dir() and os.name == "nt":  # Windows cannot open folders
        return
    # Folders cannot be opened for writing; Windows flushes only files that are.
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

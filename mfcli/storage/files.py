"""Artifacts on disk: replaced whole and only when complete, checked when read.

A file or folder is written beside its target under a temporary name, flushed to the disk and then
renamed, so that a reader sees the old artifact or the new one and nothing in between.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import glob
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from mfcli.errors import ArtifactError
from mfcli.storage.records import json_text, read_json

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_SEAL = "digest"


@contextlib.contextmanager
def replacing_file(target: Path) -> Iterator[Path]:
    """Yield a temporary path; what the block writes there becomes `target` when it ends well.

    Raises
    ------
    ArtifactError
        If the folder cannot be written.
    """
    with _writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _refuse_directory(target)
        handle, name = tempfile.mkstemp(
            dir=target.parent, prefix=_temporary_prefix(target), suffix=target.suffix
        )
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o666 & ~_umask())
            _flush(temporary)
            temporary.replace(target)
            _flush(target.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_folder(target: Path, names: Collection[str]) -> Iterator[Path]:
    """Yield a temporary folder; it becomes `target` when the block ends well.

    Parameters
    ----------
    target : Path
        Replaced if it is empty or holds nothing but `names`; other people's files are not touched.
    names : collection of str
        The files that such an artifact may hold.

    Raises
    ------
    ArtifactError
        If the target holds other files or cannot be written.
    """
    with _writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _refuse_strangers(target, names)
        folder = Path(tempfile.mkdtemp(dir=target.parent, prefix=_temporary_prefix(target)))
        try:
            yield folder
            folder.chmod(0o777 & ~_umask())
            for path in (*folder.rglob("*"), folder):
                _flush(path)
            _exchange(folder, target)
            _flush(target.parent)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a folder to this process, and make it if need be; a killed process leaves no lock.

    Raises
    ------
    ArtifactError
        If another process has it, or it cannot be made.
    """
    made = not folder.exists()
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with _held(folder):
        try:
            yield
        finally:
            if made and not any(folder.iterdir()):
                folder.rmdir()


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold the system's lock of a folder, where the system has such locks."""
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise ArtifactError(
            f"{folder}: another mfcli train is writing there; wait for it, or choose another --out"
        ) from None
    finally:
        os.close(handle)


def write_sealed(target: Path, value: dict[str, Any]) -> None:
    """Write an object as JSON with a digest of all it says, replacing the target atomically."""
    with replacing_file(target) as temporary:
        write_manifest(temporary, value)


def check_format(path: Path, found: Any, newest: int) -> None:
    """Refuse a format number that this version cannot read."""
    if type(found) is not int or found < 1:
        raise ArtifactError(f"{path}: has no format number, got {found!r}; make it anew")
    if found > newest:
        raise ArtifactError(
            f"{path} has format {found}; this mfcli reads format {newest}; upgrade mfcli"
        )


def sha256(path: Path) -> str:
    """Digest a file, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest(path: Path, value: dict[str, Any]) -> None:
    """Write the JSON file that speaks for a folder, sealed by a digest of all it says."""
    path.write_text(json_text({**value, _SEAL: _seal(value)}), encoding="utf-8")


def read_manifest(path: Path, newest: int) -> dict[str, Any]:
    """Read a file of `write_manifest`.

    Raises
    ------
    ArtifactError
        If it is missing, damaged or of a newer format.
    """
    value = read_json(path)
    check_format(path, value.get("format"), newest)
    check_seal(path, value)
    return value


def check_seal(path: Path, value: dict[str, Any]) -> None:
    """Take the digest out of an object and compare it to what the object says.

    Raises
    ------
    ArtifactError
        If it is missing or wrong.
    """
    if value.pop(_SEAL, None) != _seal(value):
        raise ArtifactError(f"{path}: is damaged (its digest is wrong); make it anew")


def _seal(value: dict[str, Any]) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def check_digests(folder: Path, manifest: dict[str, Any], required: Collection[str]) -> None:
    """Compare the files of a folder to the digests under "files" in its manifest.

    Raises
    ------
    ArtifactError
        If a required file is not listed, or a listed one is missing or differs.
    """
    digests = manifest.get("files")
    if not isinstance(digests, dict) or not set(required) <= set(digests):
        raise ArtifactError(f"{folder}: its manifest does not list its files; make it anew")
    for name, digest in digests.items():
        path = folder / Path(name).name
        try:
            found = sha256(path)
        except OSError as error:
            raise ArtifactError(f"{path}: cannot be read: {error.strerror}") from error
        except ValueError as error:  # a name that no file can have
            raise ArtifactError(f"{folder}: lists a file {name!r}; make it anew") from error
        if found != digest:
            raise ArtifactError(f"{path}: is damaged (its digest is wrong); make it anew")


def check_replaceable(folder: Path, names: Collection[str]) -> None:
    """Find out, before long work, whether a folder of `replacing_folder` could be written.

    Raises
    ------
    ArtifactError
    """
    with _writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _refuse_strangers(folder, names)
        with tempfile.TemporaryFile(dir=folder.parent):
            pass


def check_writable_file(target: Path) -> None:
    """Find out, before long work, whether a file of `replacing_file` could be written.

    Raises
    ------
    ArtifactError
    """
    with _writing(target):
        _refuse_directory(target)


@contextlib.contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ArtifactError(
            f"{target}: cannot be written: {_reason(error)}; choose another place"
        ) from error


def _reason(error: OSError) -> str:
    """Say why, in the system's words; Arrow puts them behind its own."""
    return (error.strerror or str(error)).rpartition("] ")[2]


def _refuse_directory(target: Path) -> None:
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a directory")


def _refuse_strangers(target: Path, names: Collection[str]) -> None:
    if not target.exists() and not target.is_symlink():
        return
    if target.is_symlink() or not target.is_dir():
        raise ArtifactError(f"{target}: must be a folder to replace it; choose another place")
    strangers = sorted(path.name for path in target.rglob("*") if path.name not in names)
    if strangers:
        raise ArtifactError(
            f"{target}: holds files that mfcli did not write ({strangers[0]!r});"
            " choose another place or move them"
        )


def _temporary_prefix(target: Path) -> str:
    """Name temporary files after this process; remove those of processes that were killed."""
    name = f".{target.resolve().name}."
    for path in target.parent.glob(f"{glob.escape(name)}*"):
        owner = path.name.removeprefix(name).partition(".")[0]
        if owner.isdigit() and not _is_running(int(owner)):
            _remove(path)
    return f"{name}{os.getpid()}."


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _flush(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _exchange(folder: Path, target: Path) -> None:
    """Put `folder` in the place of `target`; whatever stood there is left under `folder`.

    Linux swaps the two names in one step. Elsewhere the old folder steps aside first, and steps
    back if the new one cannot take its place.
    """
    if not target.exists():
        folder.rename(target)
    elif not _swapped(folder, target):
        aside = folder.with_name(folder.name + ".old")
        target.rename(aside)
        try:
            folder.rename(target)
        except OSError:
            aside.rename(target)
            raise
        aside.rename(folder)


def _swapped(folder: Path, target: Path) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    paths = (os.fsencode(folder), os.fsencode(target))
    return rename is not None and not rename(
        _AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE
    )

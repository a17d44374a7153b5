"""Fetch a MovieLens data set into a folder.

A download that breaks leaves NAME.zip.part, and the next run continues it. The archive is unpacked
beside its folder, which appears in one rename when it is complete; then the archive is deleted.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mfcli.errors import ArtifactError, DataError, MfcliError, Param, UsageError
from mfcli.fetch.archives import ARCHIVES, BASE, CITATION, NAMES, SHA256, TERMS, Archive
from mfcli.fetch.download import MIRROR, download, on_disk, read_page
from mfcli.fetch.unpack import unpack
from mfcli.storage import (
    Record,
    Whole,
    check_replaceable,
    read_record,
    replacing_folder,
    write_record,
)
from mfcli.types import Progress

RECORD = ".fetched.json"


class FetchRecord(Record):
    """The data set in a folder, where it comes from, and the sizes of its files in bytes."""

    FORMAT = 1

    name: str
    address: str
    bytes: Whole
    files: dict[str, Whole]


@dataclass(frozen=True)
class Fetched:
    """A data set on disk.

    Attributes
    ----------
    folder : Path
        Everything that the archive holds.
    ratings : Path
        The ratings file in it.
    terms : str
        Where to read the terms of use.
    citation : str
        What to cite in publications.
    bytes : int
        Size of the archive.
    """

    folder: Path
    ratings: Path
    terms: str
    citation: str
    bytes: int

    def as_dict(self) -> dict[str, Any]:
        """Return the attributes in a form that JSON has."""
        return {**vars(self), "folder": str(self.folder), "ratings": str(self.ratings)}


def fetch_movielens(
    name: str,
    out: Path = Path(),
    *,
    base: str | None = None,
    on_progress: Progress = lambda done, total: None,
) -> Fetched:
    """Download a MovieLens archive and unpack it, unless that has been done before.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    out : Path
        Where to put the folder of the data set.
    base : str, optional
        Address (http or https) of a mirror that has NAME.zip; by default GroupLens.
    on_progress : callable
        Called with bytes done and in total, first of the download, then of the unpacking.

    Raises
    ------
    UsageError
        If there is no such data set, or the base is not an address.
    DataError
        If the archive cannot be downloaded, is damaged or is unsafe.
    ArtifactError
        If the folder cannot be written, or another one is in its place.
    """
    archive, address = _archive(name), _address(BASE if base is None else base, name)
    folder, zipped = out / archive.folder, out / f"{name}.zip"
    if not _is_complete(folder, name):
        check_replaceable(folder, ())
        source = _obtain(name, address, zipped, on_progress)
        _unpack(source, archive, name, address, folder, on_progress)
        with on_disk(zipped):
            zipped.unlink(missing_ok=True)
            _part(zipped).unlink(missing_ok=True)
    size = read_record(folder / RECORD, FetchRecord).bytes
    terms = f"{folder / archive.readme} and {TERMS}"
    return Fetched(folder, folder / archive.ratings, terms, CITATION, size)


def _archive(name: str) -> Archive:
    if name in ARCHIVES:
        return ARCHIVES[name]
    close = difflib.get_close_matches(name, NAMES, n=1)
    remedy = f"did you mean {close[0]}?" if close else ""
    raise UsageError(f"the name must be one of {', '.join(NAMES)}", value=name, remedy=remedy)


def _address(base: str, name: str) -> str:
    try:
        valid = re.fullmatch(r"(?i)https?://[!-~]+", base) and urlsplit(base).port != 0
    except ValueError:
        valid = False
    if not valid or "?" in base or "#" in base:
        rule = f"must be an http or https address, such as {BASE}"
        raise UsageError(rule, param="base", value=base)
    return f"{base.rstrip('/')}/{name}.zip"


def _is_complete(folder: Path, name: str) -> bool:
    """Return whether the data set is there; anything else in its place is an error."""
    if not folder.is_symlink() and (not folder.exists() or _is_empty(folder)):
        return False
    with contextlib.suppress(MfcliError, OSError):
        record = read_record(folder / RECORD, FetchRecord)
        sizes = {file: (folder / file).stat().st_size for file in record.files}
        if record.name == name and sizes == record.files:
            return True
    raise ArtifactError(
        f"already exists and is not a complete {name} that mfcli fetched",
        place=folder,
        remedy=["split the ratings in it, move it away, or choose another ", Param("out")],
    )


def _is_empty(folder: Path) -> bool:
    with on_disk(folder):
        return folder.is_dir() and not any(folder.iterdir())


def _part(zipped: Path) -> Path:
    return zipped.with_name(f"{zipped.name}.part")


def _obtain(name: str, address: str, zipped: Path, on_progress: Progress) -> Path:
    """Return a file with the digest of the archive: one that is there, or a new download."""
    algorithm, digest = _expected(name, address)
    part = _part(zipped)
    for path in (zipped, part):
        if path.is_file() and _digest(path, algorithm) == digest:
            return path
    download(address, part, on_progress)
    found = _digest(part, algorithm)
    if found != digest:
        part.unlink()
        rule = f"must have the {algorithm.upper()} {digest}, got {found}"
        raise DataError(rule, place=address, remedy="try again")
    return part


def _expected(name: str, address: str) -> tuple[str, str]:
    """Return the algorithm and the digest that the archive must have."""
    if name in SHA256:
        return "sha256", SHA256[name]
    beside = f"{address}.md5"
    text = read_page(beside)  # "MD5 (NAME) = DIGEST" or "DIGEST  NAME"
    match = re.search(r"\b[0-9a-fA-F]{32}\b", text)
    if not match:
        raise DataError("must hold an MD5", place=beside, value=text[:40], remedy=MIRROR)
    return "md5", match[0].lower()


def _digest(path: Path, algorithm: str) -> str:
    with on_disk(path), path.open("rb") as file:
        made = hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False))
        return made.hexdigest()


def _unpack(
    source: Path, archive: Archive, name: str, address: str, folder: Path, on_progress: Progress
) -> None:
    """Unpack into the folder; delete a download that cannot be used."""
    size = source.stat().st_size
    try:
        with replacing_folder(folder, ()) as new:
            files = unpack(source, address, archive.folder, archive.ratings, new, on_progress)
            record = FetchRecord(name=name, address=address, bytes=size, files=files)
            write_record(new / RECORD, record)
    except DataError:
        if source.suffix == ".part":
            source.unlink(missing_ok=True)
        raise

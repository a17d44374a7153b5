"""Fetch a MovieLens data set into a folder.

An interrupted download leaves NAME.zip.part, and the next run resumes it. The archive is unpacked
beside its folder, which appears in one rename when it is complete; then the archive is deleted.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from mfcli.arguments import check_functions, check_type, path_of
from mfcli.errors import ArtifactError, DataError, MfcliError, Param, UsageError
from mfcli.fetch.archives import BASE, CITATION, NAMES, RATINGS, SHA256, TERMS, TITLES
from mfcli.fetch.download import CHUNK, MIRROR, download
from mfcli.storage import (
    Record,
    Whole,
    check_replaceable,
    read_record,
    replacing_folder,
    scratch_folder,
    write_record,
)
from mfcli.types import Progress

RECORD = ".fetched.json"
LARGEST = 4 << 30  # bytes; ml-32m unpacks to less than 1 GB
_LARGEST_PAGE = 1 << 16  # bytes of a page with an MD5

_ADDRESS = re.compile(r"https?://(\[[\da-f:]+\]|[\w.-]+)(:\d+)?(/[^?#\s]*)?", re.A | re.I)

_PLAIN = re.compile(r"(?!.*\.\.)[\w.-]+(/[\w.-]+)*")  # a relative path that stays in its folder
# What zipfile raises for damaged, encrypted (RuntimeError) or unsafe (ValueError) archives.
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError)


class FetchRecord(Record):
    """The data set in a folder, where it comes from, and the sizes of its files in bytes."""

    FORMAT = 1

    name: str
    address: str
    bytes: Whole
    files: dict[str, Whole]


@dataclass(frozen=True)
class Fetched:
    """A data set on disk: its folder and files, and the size of the archive in bytes.

    There are no titles if the archive, of a mirror, has none.
    """

    folder: Path
    ratings: Path
    titles: Path | None
    terms: str
    citation: str
    bytes: int

    def as_dict(self) -> dict[str, Any]:
        """Return the attributes as plain values, for JSON."""
        return {n: str(v) if isinstance(v, Path) else v for n, v in vars(self).items()}


def fetch_movielens(
    name: str,
    out: Path | str = Path(),
    *,
    base: str | None = None,
    on_progress: Progress = lambda done, total: None,
    on_unpacking: Progress | None = None,
) -> Fetched:
    """Download a MovieLens archive and unpack it, unless the data set is already there.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    out : path
        The folder in which to create the folder of the data set.
    base : str, optional
        Address (http or https) of a mirror that has NAME.zip; by default GroupLens.
    on_progress : callable, optional
        Called with bytes done and in total, first of the download, then of the unpacking.
    on_unpacking : callable, optional
        Called instead of `on_progress` during the unpacking.

    Raises
    ------
    UsageError
        If there is no such data set, the base is not an address, or an argument has another type.
    DataError
        If the archive cannot be downloaded, is damaged or is unsafe.
    ArtifactError
        If the folder cannot be written, or another one is in its place.
    """
    _check_name(name)
    out = path_of(out, "out")
    check_functions(on_progress=on_progress)
    if base is not None and not _ADDRESS.fullmatch(base):
        rule = f"must be an http or https address, such as {BASE}"
        raise UsageError(rule, param="base", value=base)
    address = f"{(base or BASE).rstrip('/')}/{name}.zip"
    ratings, part = out / RATINGS[name], out / f"{name}.zip.part"
    folder = ratings.parent
    try:
        if not _is_complete(folder, name):
            check_replaceable(folder, ())
            _install(folder, name, address, part, on_progress, on_unpacking or on_progress)
    except OSError as error:
        raise ArtifactError(
            f"cannot be read or written: {error.strerror or error}",
            place=error.filename or part,
            remedy=["use another ", Param("out")],
        ) from error
    size = read_record(folder / RECORD, FetchRecord).bytes
    terms = f"{next(folder.glob('README*'), folder)} and {TERMS}"
    titles = folder / TITLES[name]
    found = titles if titles.is_file() else None
    return Fetched(folder, ratings, found, terms, CITATION, size)


def _check_name(name: str) -> None:
    check_type(name, str, "name")
    if name not in NAMES:
        close = difflib.get_close_matches(name, NAMES, n=1)
        remedy = f"did you mean {close[0]}?" if close else ""
        raise UsageError(f"the name must be one of {', '.join(NAMES)}", value=name, remedy=remedy)


def _is_complete(folder: Path, name: str) -> bool:
    """Return whether the data set is there; anything else in its place is an error."""
    is_empty = folder.is_dir() and not any(folder.iterdir())
    if not folder.is_symlink() and (is_empty or not folder.exists()):
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


def _install(
    folder: Path,
    name: str,
    address: str,
    part: Path,
    on_progress: Progress,
    on_unpacking: Progress,
) -> None:
    """Unpack the archive, which is downloaded unless a file with its digest is there."""
    algorithm = "sha256" if name in SHA256 else "md5"
    digest = SHA256.get(name) or _published_md5(f"{address}.md5")
    archives = part.with_suffix(""), part
    source = next((p for p in archives if p.is_file() and _digest(p, algorithm) == digest), None)
    if not source:
        source = part
        download(address, part, LARGEST, on_progress)
    try:
        if (found := _digest(source, algorithm)) != digest:
            rule = f"must have the {algorithm.upper()} {digest}, got {found}"
            raise DataError(rule, place=address, remedy="try again")
        with replacing_folder(folder, ()) as new:
            files = _unpack(source, address, RATINGS[name], new, on_unpacking)
            size = source.stat().st_size
            record = FetchRecord(name=name, address=address, bytes=size, files=files)
            write_record(new / RECORD, record)
    except DataError:  # a new attempt downloads the archive again
        part.unlink(missing_ok=True)
        raise
    for path in archives:
        path.unlink(missing_ok=True)


def _published_md5(address: str) -> str:
    """Download an MD5, from a line such as "MD5 (NAME) = DIGEST"."""
    with scratch_folder() as folder:
        page = folder / "page"
        download(address, page, _LARGEST_PAGE, lambda done, total: None)
        text = page.read_text("latin-1")
    if match := re.search(r"\b[0-9a-fA-F]{32}\b", text):
        return match[0].lower()
    raise DataError("must hold an MD5", place=address, value=text[:40], remedy=MIRROR)


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _unpack(
    archive: Path, address: str, ratings: str, out: Path, on_progress: Progress
) -> dict[str, int]:
    """Unpack the folder of the ratings file; return the sizes of its files by their paths.

    One archive has no pinned digest, so a mirror may send anything: paths must stay in the folder,
    links become plain files, and the size is limited.
    """
    root, _, required = ratings.partition("/")
    done = 0
    try:
        with zipfile.ZipFile(archive) as source:
            inside = [m for m in source.infolist() if m.filename.startswith(f"{root}/")]
            files = {m.filename[len(root) + 1 :]: m.file_size for m in inside if not m.is_dir()}
            total = sum(files.values())
            if total > LARGEST or required not in files or not all(map(_PLAIN.fullmatch, files)):
                rule = f"it must hold {ratings}, plain paths and at most {LARGEST:,} bytes"
                raise ValueError(rule)
            # The last of them would replace the others, on some systems also if only case differs.
            if _has_a_name_twice([m.filename for m in inside]):
                raise ValueError("it must hold each name once")
            for path in files:
                target = out / path
                target.parent.mkdir(parents=True, exist_ok=True)
                # zipfile reads at most the declared number of bytes, and checks their CRC.
                with source.open(f"{root}/{path}") as packed, target.open("wb") as file:
                    while piece := packed.read(CHUNK):
                        done += file.write(piece)
                        on_progress(done, total)
    except _DAMAGE as error:
        rule = f"must be a valid and safe zip archive: {error}"
        raise DataError(rule, place=address, remedy=MIRROR) from error
    return files


def _has_a_name_twice(names: list[str]) -> bool:
    """Return whether two files, or a file and a folder, have one name, apart from case."""
    folded = [name.casefold() for name in names]
    files = [name for name in folded if not name.endswith("/")]
    folders = {name.rstrip("/") for name in folded if name.endswith("/")}
    folders.update(str(parent) for name in folded for parent in PurePosixPath(name).parents)
    return len(set(files)) < len(files) or not folders.isdisjoint(files)

"""The files to read: one, several, a folder of part files or standard input."""

from __future__ import annotations

import contextlib
import hashlib
import lzma
import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from mfcli.data.formats.encodings import UTF8, as_utf8, find_encoding, is_utf8, known_encoding
from mfcli.data.formats.known_formats import refuse_known_format
from mfcli.data.formats.zip_files import DAMAGES, zip_member
from mfcli.errors import DataError, Param, warn
from mfcli.storage import scratch_errors, scratch_file, sha256

HEAD = 1 << 16  # enough for hundreds of rows; read several times, so it should be small
"""Number of bytes at the start of a file that tell its format, encoding and layout."""

COLUMNAR = {b"PAR1": "parquet", b"ARROW1": "arrow"}
"""The formats that are no text as a whole, by their first bytes."""

_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bz2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\3\4": "zip",
    b"PK\5\6": "zip",  # without members
}

_PACKED = {".gz", ".bz2", ".xz", ".zst", ".zip"}
_SUFFIXES = {"", ".csv", ".tsv", ".txt", ".dat", ".data", ".base", ".test", ".parquet"}
_SUFFIXES |= {".arrow", ".feather", ".json", ".jsonl", ".ndjson"}
_URL = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+):/+(.*)")  # two letters or more, unlike a drive


class EmptyFileError(DataError):
    """A file holds nothing, or blank lines only."""

    def __init__(self, place: object) -> None:
        super().__init__("is empty", place=place, remedy="provide one line per rating")


@dataclass(frozen=True)
class File:
    """One file of ratings.

    Attributes
    ----------
    path : Path
    name : str
        Name in messages.
    compression : str
        gzip, bz2, xz, zstd or zip, found by the first bytes; empty for none.
    encoding : str
        Encoding of its text.
    is_part : bool
        Whether it was found in a folder, so that it may be empty.
    """

    path: Path
    name: str
    compression: str
    encoding: str = UTF8
    is_part: bool = False

    def __str__(self) -> str:
        return self.name

    @property
    def bytes(self) -> int:
        return self.path.stat().st_size

    @contextlib.contextmanager
    def reading(self) -> Iterator[tuple[BinaryIO, pa.NativeFile]]:
        """Open the file; yield its decompressed bytes, and the raw file for the position in it.

        Text in another encoding is converted to UTF-8.

        Raises
        ------
        DataError
            If it cannot be opened, or if damaged compressed data or invalid text is found within
            the block.
        """
        try:
            with pa.OSFile(os.fsencode(self.path)) as raw, self._decompressed(raw) as stream:
                converted = self.encoding != UTF8
                yield as_utf8(stream, self.encoding, self) if converted else stream, raw
        except (OSError, EOFError, lzma.LZMAError, *DAMAGES) as error:
            if self.compression:
                raise DataError(
                    f"its {self.compression} data is truncated or damaged ({error})",
                    place=self,
                    remedy="download or compress the file again",
                ) from error
            raise _unreadable(self.name, error) from error

    def _decompressed(self, raw: pa.NativeFile) -> contextlib.AbstractContextManager[BinaryIO]:
        if self.compression == "xz":
            return cast(BinaryIO, lzma.open(raw))
        if self.compression == "zip":
            return zip_member(cast(BinaryIO, raw), self)
        if self.compression:
            return cast(BinaryIO, pa.CompressedInputStream(raw, self.compression))
        return contextlib.nullcontext(raw)


@contextlib.contextmanager
def open_sources(names: Sequence[Path | str], encoding: str = UTF8) -> Iterator[list[File]]:
    """Yield the files that names refer to.

    Parameters
    ----------
    names : sequence of Path or str
        Files, folders of part files, or "-" for standard input. Standard input and named pipes are
        copied to temporary files that exist within the block.
    encoding : str
        Encoding of texts without a byte order mark; UTF-16 is found also without one.

    Raises
    ------
    ConfigError
        If there is no such encoding.
    DataError
        If a folder has no part files, or a file is missing, empty, unreadable or in a format that
        mfcli does not read.
    """
    standard = known_encoding(encoding)
    with contextlib.ExitStack() as stack:
        files = []
        for name in map(str, names):
            if name == "-":
                files.append(stack.enter_context(_standard_input()))
            elif Path(name).is_fifo():  # such as <(command) in a shell; it can be read only once
                files.append(stack.enter_context(_pipe(Path(name))))
            else:
                _refuse_url(name)
                files.extend(_files(Path(name)))
        found = [_with_encoding(file, standard) for file in files]
        misread = [file for file, is_misread in found if is_misread]
        for file in misread[:1]:  # the parts of a folder are all alike
            warn(
                f"is valid UTF-8 text, but is read as {encoding}",
                place=file,
                remedy=["use ", Param("encoding", UTF8)],
            )
        yield [file for file, _ in found]


def is_columnar(file: File) -> bool:
    """Return whether a file is in one of the formats of `COLUMNAR`."""
    with file.reading() as (stream, _):
        return stream.read(HEAD).startswith(tuple(COLUMNAR))


def _refuse_url(name: str) -> None:
    """Refuse addresses, also those in which a path has lost a slash."""
    found = _URL.fullmatch(name)
    if found is None:
        return
    scheme, rest = found.groups()
    if scheme.lower() == "file":
        remedy = f"name the path, such as {shlex.quote('/' + rest)}"
    elif scheme.lower() in ("http", "https", "ftp"):
        remedy = f"download it first, as with: curl -LO {shlex.quote(f'{scheme}://{rest}')}"
    else:
        remedy = "copy it to a local file first"
    raise DataError("is an address, not a local file", place=name, remedy=remedy)


def _with_encoding(file: File, chosen: str) -> tuple[File, bool]:
    """Return a file with its encoding, and whether it is UTF-8 although another one is chosen."""
    with file.reading() as (stream, _):
        head = stream.read(HEAD)
    refuse_known_format(file, head)
    if head.startswith(tuple(COLUMNAR)):
        if file.compression:  # their readers need random access
            rule = f"is a columnar file within {file.compression} data"
            raise DataError(rule, place=file, remedy="decompress it first")
        return file, False
    encoding = find_encoding(head, chosen)
    return replace(file, encoding=encoding), UTF8 != encoding == chosen and is_utf8(head)


def digest(files: Sequence[File]) -> str:
    """Return the SHA-256 of one file, or of the digests of several files in order."""
    digests = [sha256(file.path) for file in files]
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _files(path: Path) -> list[File]:
    """Return one file, or the part files of a folder.

    Parts of 0 bytes, which Spark writes, hold nothing to read and are left out.
    """
    if not path.is_dir():
        return [_file(path)]
    parts = _parts(path)
    filled = [part for part in parts if part.stat().st_size]
    # If all are empty, the first one is refused as empty.
    return [replace(_file(part), is_part=True) for part in filled or parts]


def _parts(path: Path) -> list[Path]:
    """Return the part files of a folder, by name and without hidden files.

    Folders such as `day=0` are partitions of the ratings, as Hive and Spark write them. Their part
    files belong to the ratings, but the value in the name does not.
    """
    if (path / "_delta_log").is_dir():  # it says which of the files are outdated
        raise DataError("is a Delta table", place=path, remedy="export it as Parquet or CSV")
    entries = sorted(_entries(path))
    parts = [entry for entry in entries if _is_part(entry)]
    if parts:
        _warn_of_others(path, [entry for entry in entries if not _is_part(entry)])
        return parts
    if any(entry.is_dir() for entry in path.iterdir() if not _is_hidden(entry)):
        rule = "is a folder of folders, which are not named like partitions (day=1)"
        raise DataError(rule, place=path, remedy="name the folder or the files of the ratings")
    suffixes = ", ".join(sorted(_SUFFIXES - {""}))
    raise DataError(
        f"is a folder without part files ({suffixes})",
        place=path,
        remedy="name the ratings file",
    )


def _entries(folder: Path) -> Iterator[Path]:
    """Yield what a folder and its partitions hold, without hidden files."""
    for entry in folder.iterdir():
        if _is_hidden(entry):
            continue
        if entry.is_dir() and "=" in entry.name:
            yield from _entries(entry)
        else:
            yield entry


def _warn_of_others(folder: Path, others: Sequence[Path]) -> None:
    if others:
        more = f" and {len(others) - 1:,} more" if len(others) > 1 else ""
        warn(
            f"is read without {others[0].relative_to(folder)}{more}",
            place=folder,
            remedy="if ratings are missing, name the files instead of the folder",
        )


def _is_hidden(path: Path) -> bool:
    return path.name[0] in "._"


def _is_part(path: Path) -> bool:
    suffixes = [suffix.lower() for suffix in path.suffixes]  # as in RATINGS.CSV of Windows
    unpacked = [suffix for suffix in suffixes if suffix not in _PACKED]
    return path.is_file() and (unpacked[-1] if unpacked else "") in _SUFFIXES


def _file(path: Path, name: str | None = None) -> File:
    shown = name or str(path)
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise _unreadable(shown, error) from error
    if not head:
        raise EmptyFileError(shown)
    kinds = (kind for magic, kind in _MAGIC.items() if head.startswith(magic))
    return File(path, shown, next(kinds, ""))


def _standard_input() -> contextlib.AbstractContextManager[File]:
    if sys.stdin is None:  # as under pythonw, or after <&-
        raise DataError("is closed", place="<stdin>", remedy="name a file")
    return _copied(sys.stdin.buffer, "<stdin>")


@contextlib.contextmanager
def _pipe(path: Path) -> Iterator[File]:
    with path.open("rb") as stream, _copied(stream, str(path)) as file:
        yield file


@contextlib.contextmanager
def _copied(stream: BinaryIO, name: str) -> Iterator[File]:
    """Copy a stream that can be read only once, since files are read several times."""
    with scratch_file() as (copy, path):
        for piece in _pieces(stream, name):
            with scratch_errors():
                copy.write(piece)
        with scratch_errors():
            copy.flush()
        yield _file(path, name)  # while the copy exists


def _pieces(stream: BinaryIO, name: str) -> Iterator[bytes]:
    try:
        while piece := stream.read(1 << 20):
            yield piece
    except OSError as error:
        raise _unreadable(name, error) from error


def _unreadable(name: str, error: Exception) -> DataError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return DataError(f"cannot be read: {reason}", place=name)

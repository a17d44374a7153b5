"""The files to read: one, several, a folder of part files or standard input."""

from __future__ import annotations

import contextlib
import hashlib
import lzma
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from mfcli.errors import DataError
from mfcli.storage import sha256

_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bz2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}

_PACKED = {".gz", ".bz2", ".xz", ".zst"}
_SUFFIXES = {"", ".csv", ".tsv", ".txt", ".dat", ".data", ".base", ".test", ".parquet"}


@dataclass(frozen=True)
class File:
    """One file of ratings.

    Attributes
    ----------
    path : Path
    name : str
        Name in messages.
    compression : str
        gzip, bz2, xz or zstd, found by the first bytes; empty for none.
    """

    path: Path
    name: str
    compression: str

    def __str__(self) -> str:
        return self.name

    @property
    def bytes(self) -> int:
        return self.path.stat().st_size

    @contextlib.contextmanager
    def reading(self) -> Iterator[tuple[BinaryIO, pa.NativeFile]]:
        """Open the file; yield its decompressed bytes, and the raw file for the position in it.

        Raises
        ------
        DataError
            If it cannot be opened, or if damaged compressed data is found within the block.
        """
        try:
            with pa.OSFile(os.fsencode(self.path)) as raw, self._decompressed(raw) as stream:
                yield stream, raw
        except (OSError, EOFError, lzma.LZMAError) as error:
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
        if self.compression:
            return cast(BinaryIO, pa.CompressedInputStream(raw, self.compression))
        return contextlib.nullcontext(raw)


@contextlib.contextmanager
def open_sources(names: Sequence[Path | str]) -> Iterator[list[File]]:
    """Yield the files that names refer to.

    Parameters
    ----------
    names : sequence of Path or str
        Files, folders of part files, or "-" for standard input, which is copied to a temporary file
        that exists within the block.

    Raises
    ------
    DataError
        If a folder has no part files, or a file is missing, empty or unreadable.
    """
    with contextlib.ExitStack() as stack:
        files = []
        for name in map(str, names):
            if name == "-":
                files.append(stack.enter_context(_standard_input()))
            else:
                files.extend(_file(path) for path in _parts(Path(name)))
        yield files


def digest(files: Sequence[File]) -> str:
    """Return the SHA-256 of one file, or of the digests of several files in order."""
    digests = [sha256(file.path) for file in files]
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _parts(path: Path) -> list[Path]:
    """Return the part files of a folder, by name and without hidden files; of a file, itself."""
    if not path.is_dir():
        return [path]
    parts = sorted(p for p in path.iterdir() if p.is_file() and _is_part(p))
    if not parts:
        suffixes = ", ".join(sorted(_SUFFIXES - {""}))
        raise DataError(
            f"is a folder without part files ({suffixes})",
            place=path,
            remedy="name the ratings file",
        )
    return parts


def _is_part(path: Path) -> bool:
    suffixes = [suffix for suffix in path.suffixes if suffix not in _PACKED]
    return path.name[0] not in "._" and (suffixes[-1] if suffixes else "") in _SUFFIXES


def _file(path: Path, name: str | None = None) -> File:
    shown = name or str(path)
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise _unreadable(shown, error) from error
    if not head:
        raise DataError("is empty", place=shown, remedy="provide one line per rating")
    kinds = (kind for magic, kind in _MAGIC.items() if head.startswith(magic))
    return File(path, shown, next(kinds, ""))


@contextlib.contextmanager
def _standard_input() -> Iterator[File]:
    if sys.stdin is None:
        raise DataError("is closed", place="<stdin>", remedy="name a file")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ratings"
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file, 1 << 20)
        yield _file(path, "<stdin>")


def _unreadable(name: str, error: Exception) -> DataError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return DataError(f"cannot be read: {reason}", place=name)

"""Unpack zip archives that may be damaged or malicious."""

from __future__ import annotations

import re
import stat
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from mfcli.errors import DataError
from mfcli.fetch.download import CHUNK, LARGEST, MIRROR
from mfcli.types import Progress

_RATIO = 100  # most unpacked bytes per byte of the archive; MovieLens has 4 to 6
_MACOS = "__MACOSX/"  # metadata that macOS adds to archives; ignored
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, struct.error)


class _Unsafe(Exception):
    """A rule that an archive breaks."""


def unpack(
    archive: Path, address: str, root: str, required: str, out: Path, on_progress: Progress
) -> dict[str, int]:
    """Unpack `root` of an archive into an empty folder, once all members have passed the checks.

    Returns the sizes of the files in bytes, by their paths in `out`. `address` is for messages.
    """
    try:
        with _opened(archive) as source:
            members = _members(source, root, required, archive.stat().st_size)
            _extract(source, members, out, on_progress)
    except (_Unsafe, *_DAMAGE) as error:
        rule = f"must be a valid and safe zip archive: {error}"
        raise DataError(rule, place=address, remedy=MIRROR) from error
    return {path: member.file_size for path, member in members.items()}


def _opened(archive: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(archive)
    except OSError as error:  # positions that no file can have
        raise _Unsafe(error) from error


def _members(
    source: zipfile.ZipFile, root: str, required: str, size: int
) -> dict[str, zipfile.ZipInfo]:
    """Check all members; return the files by their paths within the root."""
    listed = [m for m in source.infolist() if not m.filename.startswith(_MACOS)]
    for member in listed:
        if fault := _fault(member, root):
            raise _Unsafe(f"{member.filename!r} {fault}")
    files = [member for member in listed if not member.is_dir()]
    unpacked = sum(member.file_size for member in files)
    if unpacked > min(LARGEST, _RATIO * size):
        raise _Unsafe(f"{size:,} bytes unpack to {unpacked:,}")
    members = {str(PurePosixPath(*_steps(member)[1:])): member for member in files}
    if len({path.casefold() for path in members}) != len(files):
        raise _Unsafe("it holds a file twice")
    if required not in members:
        raise _Unsafe(f"it does not hold {root}/{required}")
    return members


def _fault(member: zipfile.ZipInfo, root: str) -> str:
    """Return what makes a member unsafe, or an empty string."""
    steps = _steps(member)
    if steps[0] != root or (len(steps) == 1 and not member.is_dir()):
        return f"is not in {root}/"
    if {"", ".", ".."} & set(steps) or not re.fullmatch(r"[^\\:\x00-\x1f]+", member.filename):
        return "is not a plain path"
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    if member.flag_bits & 1 or member.compress_type not in _COMPRESSIONS:
        return "is encrypted or has an unsupported compression"
    return ""


def _steps(member: zipfile.ZipInfo) -> list[str]:
    return member.filename.removesuffix("/").split("/")


def _extract(
    source: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], out: Path, on_progress: Progress
) -> None:
    """Write the members; zipfile checks their CRC, this function their sizes."""
    done, total = 0, sum(member.file_size for member in members.values())
    for path, member in members.items():
        end, target = done + member.file_size, out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with source.open(member) as packed, target.open("xb") as file:
            while piece := packed.read(CHUNK):
                file.write(piece)
                done += len(piece)
                on_progress(done, total)
        if done != end:
            raise _Unsafe(f"{member.filename!r} does not have the size that it declares")

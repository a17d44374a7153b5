"""Zip archives with one file of data."""

from __future__ import annotations

import contextlib
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import BinaryIO, cast

from mfcli.data.formats.known_formats import AS_CSV, IN_PYTHON
from mfcli.errors import DataError

DAMAGES = (zipfile.BadZipFile, zlib.error)
"""What damaged archives raise while they are read."""

_SHOWN = 5  # members in a message
_ENCRYPTED = 1  # bit of the flags of a member
_SAVED_IN_ZIP = {  # a member that only this format has
    "xl/workbook.xml": "an Excel workbook (.xlsx)",
    "xl/workbook.bin": "an Excel workbook (.xlsb)",
    "word/document.xml": "a Word document",
    "content.xml": "an OpenDocument file",
    "model.weights.h5": "a Keras model",
}
_FIRST_NAME = 30  # byte at which the name of the first member starts
_OFFICE = (b"[Content_Types].xml", b"_rels/", b"docProps/", b"xl/")  # first members of .xlsx


@contextlib.contextmanager
def zip_member(raw: BinaryIO, place: object) -> Iterator[BinaryIO]:
    """Open the only file of data in a zip archive.

    Parameters
    ----------
    raw : binary file
        The archive.
    place : object
        The file, for messages.

    Raises
    ------
    DataError
        If it is encrypted, does not hold exactly one file of data, or is another format that is
        saved in a zip archive.
    """
    try:
        archive = zipfile.ZipFile(raw)
        stream = archive.open(_only_member(archive, place))
    except zipfile.BadZipFile as error:
        raw.seek(_FIRST_NAME)
        if raw.read(len(max(_OFFICE, key=len))).startswith(_OFFICE):
            rule = "is a damaged Excel workbook or another Office file"
            raise DataError(rule, place=place, remedy="get it again and save it as CSV") from error
        raise
    except (NotImplementedError, ValueError, struct.error) as error:  # features that Python lacks
        rule = f"is a zip archive that cannot be read ({error})"
        raise DataError(rule, place=place, remedy="unzip it") from error
    with archive, stream:
        yield cast(BinaryIO, stream)


def _only_member(archive: zipfile.ZipFile, place: object) -> zipfile.ZipInfo:
    names = archive.namelist()
    for name, kind in _SAVED_IN_ZIP.items():
        if name in names:
            raise DataError(f"is {kind}", place=place, remedy=AS_CSV)
    if names and all(name.endswith(".npy") for name in names):
        raise DataError("is an archive of NumPy arrays (.npz)", place=place, remedy=IN_PYTHON)
    # macOS adds folders, and files with a dot in front, to an archive of one file.
    members = [member for member in archive.infolist() if _is_data(member)]
    if len(members) != 1:
        shown = ", ".join(member.filename for member in members[:_SHOWN])
        more = ", ..." if len(members) > _SHOWN else ""
        listed = f": {shown}{more}" if members else ""
        raise DataError(
            f"is a zip archive of {len(members)} files{listed}",
            place=place,
            remedy="unzip it, and name the file of ratings",
        )
    if members[0].flag_bits & _ENCRYPTED:
        raise DataError("is an encrypted zip archive", place=place, remedy="unzip it")
    return members[0]


def _is_data(member: zipfile.ZipInfo) -> bool:
    """Return whether a member has a name, is no folder, is not hidden and not added by macOS."""
    parts = PurePosixPath(member.filename).parts
    if not parts:
        return False
    return not member.is_dir() and parts[0] != "__MACOSX" and not parts[-1].startswith(".")

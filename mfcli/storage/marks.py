"""How mfcli recognizes what it wrote, so that it replaces nothing else.

Records are JSON with a format number, as `write_record` writes them. Their keys are found line by
line, so that a damaged record is recognized too.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from mfcli.errors import ArtifactError
from mfcli.storage.files import open_regular
from mfcli.storage.records import Record

_KEY = re.compile(rb'^  "(\w+)":', re.MULTILINE)  # two spaces: not a key of a nested object
_MARKS = {"format", "mfcli"}
_OF_FOLDERS = {"files", "export"}  # keys of records that describe the folder they are in
_MOST_BYTES = 1 << 20
_REMEDY = "choose another place or move it"  # never to remove it: it may be precious


def check_replaced_file(target: Path, kinds: Collection[type[Record]]) -> None:
    """Refuse to replace a file of another kind.

    Parameters
    ----------
    target : Path
        A regular file.
    kinds : collection of type
        The records that it may be. If there are none, the user chose the name: it may be any file
        that is not part of a result of mfcli.

    Raises
    ------
    ArtifactError
    """
    found = _keys(target)
    if kinds:
        if not found & _MARKS:
            raise ArtifactError("was not written by mfcli", place=target, remedy=_REMEDY)
        # All records have the marks, so one of the other fields must be there.
        if not any(found & set(kind.__struct_fields__) - _MARKS for kind in kinds):
            raise ArtifactError("is another kind of file", place=target, remedy=_REMEDY)
    else:
        check_not_result(target)


def check_not_result(target: Path) -> None:
    """Refuse a file that is a result of mfcli, or is in the folder of one; it may be missing.

    Raises
    ------
    ArtifactError
    """
    if _keys(target) >= _MARKS:
        raise ArtifactError("is a result of mfcli", place=target, remedy=_REMEDY)
    if record := _record_beside(target):
        rule = f"belongs to the result that {record} describes"
        raise ArtifactError(rule, place=target, remedy=_REMEDY)


def check_replaced_folder(target: Path, names: Collection[str]) -> None:
    """Refuse to replace a folder that is not empty, unless it is such a result of mfcli.

    Parameters
    ----------
    target : Path
    names : sequence of str
        The files that such a folder may contain. The first is its record.

    Raises
    ------
    ArtifactError
    """
    if not target.is_dir():
        raise ArtifactError("must be a folder to be replaced", place=target, remedy=_REMEDY)
    found = list(target.rglob("*"))
    if others := sorted(path.name for path in found if path.name not in names):
        rule = f"holds files that mfcli did not write ({others[0]!r})"
        raise ArtifactError(rule, place=target, remedy="choose another place or move them")
    # An empty folder may be replaced, and so may a damaged result: its record still has the keys.
    record = next(iter(names), None)
    if found and record and not _keys(target / record) & _MARKS:
        rule = f"was not written by mfcli (it has no {record} of mfcli)"
        raise ArtifactError(rule, place=target, remedy=_REMEDY)


def _keys(path: Path) -> set[str]:
    """Return the keys of a JSON object whose entries are indented by two spaces."""
    try:
        with open_regular(path) as file:
            content = file.read(_MOST_BYTES)
    except (ArtifactError, OSError):
        return set()
    return {key.decode() for key in _KEY.findall(content)} if content[:1] == b"{" else set()


def _record_beside(target: Path) -> Path | None:
    """Return the record of the folder that a file belongs to, if it is a result of mfcli."""
    records = ((path, _keys(path)) for path in target.parent.glob("*.json"))
    return next((p for p, keys in records if keys >= _MARKS and keys & _OF_FOLDERS), None)

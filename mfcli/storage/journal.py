"""Journals: files of sealed JSON records, one a line, to which lines are appended.

The first line is a `JournalRecord` that says what the journal is about. The digest of every line
covers its other fields and the digest of the line before it, so that a changed, removed, added or
moved line is noticed. A last line without a line break was left by a process that was stopped while
it wrote: it is ignored, and the next line replaces it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

from mfcli.errors import ArtifactError, Text
from mfcli.storage.atomic import check_writable_file, replacing_file
from mfcli.storage.locks import locked_file
from mfcli.storage.records import (
    DIGEST,
    Record,
    Section,
    T,
    check_seal,
    parse_json,
    record_fields,
    record_values,
    seal,
    to_record,
    to_section,
)
from mfcli.storage.writing import writing

_MOST_BYTES = 1 << 28  # no journal is larger
# Addresses of databases, as Optuna takes them: `Path` has reduced "sqlite:///a" to "sqlite:/a". The
# name of a drive, as in C:/a, has one letter and does not match.
_ADDRESS = re.compile(r":memory:|\w[\w+.-]+:/.*|file:.*", re.DOTALL)


class JournalRecord(Record):
    """The first line of a journal.

    Attributes
    ----------
    kind : str
        Tells the journals of a class from other files.
    """

    kind: str


H = TypeVar("H", bound=JournalRecord)


@contextlib.contextmanager
def open_journal(path: Path, head: H, what: str, *, remedy: Text) -> Iterator[Journal[H]]:
    """Open a journal, and lock it for this process while the block runs.

    Parameters
    ----------
    path : Path
        If it is missing or empty, the journal is new.
    head : JournalRecord
        First line of a new journal.
    what : str
        What the journal is, in words for messages.
    remedy : Text
        How to get another file, for messages.

    Raises
    ------
    ArtifactError
        If another process has locked it, it cannot be read or written, it is not a journal of this
        kind, or it is damaged. The file is not changed then.
    """
    if _ADDRESS.fullmatch(str(path)):
        raise ArtifactError("is the address of a database, not a file", place=path, remedy=remedy)
    with writing(path):
        # Opening a pipe would block, and a device may have effects.
        if path.exists() and not stat.S_ISREG(path.stat().st_mode):
            raise ArtifactError("must be a regular file", place=path, remedy=remedy)
    with locked_file(path):
        yield Journal(path, head, what, remedy)


class Journal(Generic[H]):
    """An open journal; see `open_journal`.

    Attributes
    ----------
    head : JournalRecord
        The first line.
    lines : list of dict
        The other lines, as plain values.
    """

    def __init__(self, path: Path, head: H, what: str, remedy: Text) -> None:
        self._path, self._what, self._remedy = path, what, remedy
        self.head, self.lines = head, list[dict[str, Any]]()
        self._digest, self._end = "", 0  # of the last line
        content = self._content()
        self._size: int | None = len(content)  # None while a line is being written
        first, *others = content.split(b"\n")
        if content:
            self._read_head(first)
            for line in others[:-1]:  # what follows the last line break is ignored
                self._read_line(line)

    def to_section(self, number: int, kind: type[T]) -> T:
        """Convert ``lines[number]`` to a section.

        Raises
        ------
        ArtifactError
            If a field is missing or has the wrong type.
        """
        place = self._place(number + 2)
        return to_section(place, self.lines[number], kind, remedy=self._advice(number + 2))

    def append(self, line: Section) -> None:
        """Append a line; it is on the disk when this returns.

        Raises
        ------
        ArtifactError
            If the file cannot be written, or another program has changed it.
        """
        if not self._end:
            self._create()
        values = record_values(line)
        text, digest = _sealed_line(values, self._digest)
        with writing(self._path), self._path.open("r+b") as file:
            # The lock keeps other searches out, but not editors or synchronized folders.
            if self._size is not None and file.seek(0, os.SEEK_END) != self._size:
                rule = "was changed by another program"
                raise ArtifactError(rule, place=self._path, remedy=self._remedy)
            # If writing fails, part of the line remains, which the next line replaces.
            self._size = None
            file.truncate(self._end)
            file.seek(self._end)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        self._size = self._end = self._end + len(text)
        self._digest = digest
        self.lines.append(values)

    def _create(self) -> None:
        """Write the first line."""
        text, self._digest = _sealed_line(record_fields(self.head), "")
        # In one step, because a file with half of a first line would not be recognized later.
        with replacing_file(self._path) as temporary:
            temporary.write_bytes(text)
        self._size = self._end = len(text)

    def _content(self) -> bytes:
        """Return the content of the file, which must be writable; nothing if there is no file."""
        if not self._path.exists():
            check_writable_file(self._path)
            return b""
        # Opened for writing too, so that a read-only file is an error before the first trial.
        with writing(self._path), self._path.open("r+b") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            rule = f"is larger than {_MOST_BYTES >> 20} MB"
            raise ArtifactError(rule, place=self._path, remedy=self._remedy)
        return content

    def _read_head(self, line: bytes) -> None:
        try:
            value = parse_json(self._path, line)
        except ArtifactError:
            value = {}
        if value.get("kind") != self.head.kind:
            rule = f"is not {self._what}, or its first line is damaged"
            raise ArtifactError(rule, place=self._path, remedy=self._remedy)
        self.head = to_record(self._path, value, type(self.head), remedy=self._remedy)
        self._digest, self._end = value[DIGEST], len(line) + 1

    def _read_line(self, line: bytes) -> None:
        number = len(self.lines) + 2
        place, advice = self._place(number), self._advice(number)
        value = parse_json(place, line, remedy=advice)
        check_seal(place, value, advice, self._digest)
        self._digest, self._end = value.pop(DIGEST), self._end + len(line) + 1
        self.lines.append(value)

    def _place(self, number: int) -> Path:
        return Path(f"{self._path}:{number}")

    def _advice(self, number: int) -> Text:
        return [f"remove line {number} and all lines after it, or ", self._remedy]


def _sealed_line(values: dict[str, Any], previous: str) -> tuple[bytes, str]:
    """Return a line with its digest, and the digest; `previous` is that of the line before it."""
    digest = seal(values, previous)
    text = json.dumps({**values, DIGEST: digest}, allow_nan=False)
    return f"{text}\n".encode("ascii"), digest

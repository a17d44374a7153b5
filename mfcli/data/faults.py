"""Faulty rows: the errors about them, and the list of rows that are skipped."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from mfcli.data.table_files import guarded_text
from mfcli.errors import DataError, Text, warn


class Fault(NamedTuple):
    """What is wrong with a row.

    Attributes
    ----------
    kind : str
        One word: fields, user, item, rating, timestamp, weight, encoding or json.
    rule : str
    got : object, optional
        The value that breaks the rule.
    hint : Text
        What the reason may be.
    """

    kind: str
    rule: str
    got: Any = None
    hint: Text = ""

    @property
    def reason(self) -> str:
        return self.rule if self.got is None else f"{self.rule}, got {self.got!r}"

    def error(self, place: str, remedy: Text) -> DataError:
        """Return the fault as an error; its remedy is the hint, then `remedy`."""
        both = [self.hint, "; ", remedy] if self.hint and remedy else self.hint or remedy
        return DataError(self.reason, place=place, remedy=both)


def value_name(role: str, name: str, implicit: bool) -> str:
    """Return what a value is called in a message, given its role and the name of its column."""
    noun = "strength" if implicit and role == "rating" else role
    return noun if name.lower() == role else f"{noun} (column {name!r})"


OnFault = Callable[[int, Fault, Sequence[str]], None]
"""Called with the number of a line, the fault and the fields; raises an error or skips the line."""


def stopping(place: Callable[[int], str], remedy: Text = "") -> OnFault:
    """Return a function that raises the error of a faulty row, given the place of its number."""

    def on_fault(number: int, fault: Fault, fields: Sequence[str]) -> None:
        raise fault.error(place(number), remedy)

    return on_fault


@dataclass
class SkippedRows:
    """Faulty rows that are skipped: an `OnFault` that counts them and remembers the first.

    Parameters
    ----------
    place : callable
        Returns the place of a row, given its number.
    """

    place: Callable[[int], str]
    count: int = 0
    _first: tuple[str, Fault] | None = None

    def __call__(self, number: int, fault: Fault, fields: Sequence[str]) -> None:
        self.count += 1
        self._first = self._first or (self.place(number), fault)

    def warn(self) -> None:
        """Warn of the rows, if there are any."""
        if self._first:
            place, fault = self._first
            others = f", and {self.count - 1:,} more are skipped" if self.count > 1 else ""
            warn(f"the row is skipped ({fault.reason}){others}", place=place, remedy=fault.hint)

    def refuse(self) -> None:
        """Raise the error of the first row, if there is one."""
        if self._first:
            place, fault = self._first
            raise fault.error(place, "")


@dataclass
class Rejects:
    """Skipped rows; a context manager that closes their list.

    Attributes
    ----------
    path : Path, optional
        CSV file that lists them: file, line, reason and the row.
    counts : Counter
        Number of rows by kind of fault.
    """

    path: Path | None
    counts: Counter[str] = field(default_factory=Counter)
    _out: TextIO | None = field(default=None, init=False)

    def add(self, file: object, line: int, fault: Fault, row: str) -> None:
        self.counts[fault.kind] += 1
        if self.path is None:
            return
        # The file appears with the first row, so that there is never an empty list. It stays open,
        # since there may be millions of rows.
        if self._out is None:
            is_new = not self.path.exists()
            self._out = self.path.open(
                "a",
                encoding="utf-8",
                errors="backslashreplace",  # bytes that are not UTF-8 become text such as \udc80
                newline="",
            )
            if is_new:
                csv.writer(self._out).writerow(["file", "line", "reason", "row"])
        csv.writer(self._out).writerow([str(file), line, fault.reason, guarded_text(row)])

    def __enter__(self) -> Rejects:
        return self

    def __exit__(self, *_: object) -> None:
        if self._out is not None:
            self._out.close()

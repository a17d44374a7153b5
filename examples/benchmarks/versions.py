"""Versions of mfcli: each runs in processes of its own, with its own import path."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

import mfcli

EXAMPLES = Path(__file__).parents[1]


class Version(NamedTuple):
    """A version of mfcli.

    Attributes
    ----------
    name : str
    python : str
        Interpreter.
    path : Path, optional
        Folder with the package; None if it is installed where the interpreter finds it.
    """

    name: str
    python: str
    path: Path | None

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that make Python import this version and these measurements."""
        paths = [path for path in (self.path, EXAMPLES) if path]
        return os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))}

    def command(self, *words: object) -> list[str]:
        """Return the words of an mfcli command."""
        return [self.python, "-m", "mfcli", *map(str, words)]


def current() -> Version:
    """Return the version that this process imports."""
    return Version("mfcli", sys.executable, Path(mfcli.__file__).parents[1])


def previous_version(path: Path) -> Version:
    """Return the version in a checkout, or the one that an interpreter has installed."""
    path = path.absolute()  # not resolved: the link to an interpreter selects its environment
    if path.is_dir():
        return Version("previous", sys.executable, path)
    return Version("previous", str(path), None)

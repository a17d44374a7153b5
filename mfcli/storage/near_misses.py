"""Folders that a user may have meant, when the folder that was named has no record."""

from __future__ import annotations

import difflib
import glob
from pathlib import Path

_MOST = 3  # folders that a message names


def near_misses(path: Path, record: str) -> list[Path]:
    """Find folders with a record: inside a path, or near a missing path by their names.

    They have a similar name beside the path, or its name in other folders, such as "fold-1/model"
    and "runs/a/model" for "model".

    Parameters
    ----------
    path : Path
        Has no such record itself.
    record : str
        Name of the record, such as "model.json".
    """
    if path.is_dir():
        return _below(path, record)
    # By the name beside the path: that of the folder itself, or of the run that contains it.
    runs = [file.parent for file in path.parent.glob(f"*/*/{record}")]
    named = {folder.parent.name.casefold(): folder for folder in runs}
    folders = [file.parent for file in path.parent.glob(f"*/{record}")]
    named |= {folder.name.casefold(): folder for folder in folders}
    similar = difflib.get_close_matches(path.name.casefold(), named, n=_MOST)
    around = [path.parent] if (path.parent / record).is_file() else []
    return (
        [named[name] for name in similar]
        or around
        or _below(path.parent, f"{glob.escape(path.name)}/{record}")
    )


def _below(folder: Path, record: str) -> list[Path]:
    """Return the folders with a record that are nearest below a folder."""
    found = (sorted(folder.glob(f"{depth}{record}")) for depth in ("*/", "*/*/"))
    return [file.parent for file in next(filter(None, found), [])]


def did_you_mean(folders: list[Path]) -> str:
    """Return a question that names some folders; empty if there are none."""
    if not folders:
        return ""
    *names, last = map(str, folders[:_MOST])
    others = f"{', '.join(names)} or " if names else ""
    return f"did you mean {others}{last}?"

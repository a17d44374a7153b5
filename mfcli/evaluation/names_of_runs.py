"""Short names of runs."""

from __future__ import annotations

from pathlib import Path

from mfcli.errors import UsageError


def run_names(paths: list[Path]) -> list[str]:
    """Name runs by file, by folder or by path: the first that tells them apart.

    Raises
    ------
    UsageError
        If a path is there twice.
    """
    # model.json and best.json differ by file; a/history.json and b/history.json by folder.
    for names in ([p.stem for p in paths], [p.resolve().parent.name for p in paths]):
        if len(set(names)) == len(paths):
            return names
    names = [str(path) for path in paths]
    # Tables and legends tell runs apart by their names.
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"{twice} is named twice; name each run once")
    return names

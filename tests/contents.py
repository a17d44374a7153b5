"""Contents of files, folders and ratings as plain values, which tests compare."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from mfcli.data import Ratings


def names(folder: Path) -> list[str]:
    """Return the names in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())


def snapshot(folder: Path = Path()) -> dict[str, bytes]:
    """Return the bytes of all files in a folder and its subfolders, by path."""
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def rows_of(text: str) -> list[dict[str, str]]:
    """Return the rows of a CSV table."""
    return list(csv.DictReader(io.StringIO(text)))


def triples(ratings: Ratings) -> list[tuple[object, object, float]]:
    """Return the user id, the item id and the value of each rating, in order."""
    users, items = ratings.users.ids.to_pylist(), ratings.items.ids.to_pylist()
    rows = zip(ratings.user, ratings.item, ratings.rating, strict=True)
    return [(users[u], items[i], float(r)) for u, i, r in rows]

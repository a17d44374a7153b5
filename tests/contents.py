"""Contents of files, folders and ratings as plain values, which tests compare."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Sequence
from pathlib import Path

from mfcli.data import Ratings
from mfcli.storage import json_text, replacing_folder

RECORD = "a.json"
"""The name of the record in a folder of `write_folder`."""


def write_folder(folder: Path, text: str, others: Sequence[str] = ()) -> None:
    """Write a record and other files that hold a text, as a result of mfcli."""
    with replacing_folder(folder, [RECORD, "b", "c", "sub", "d"]) as temporary:
        values = {"format": 1, "mfcli": "1", "text": text}
        (temporary / RECORD).write_text(json_text(values), encoding="utf-8")
        for name in others:
            (temporary / name).parent.mkdir(exist_ok=True)
            (temporary / name).write_text(text, encoding="utf-8")


def gzipped(data: bytes) -> bytes:
    """Compress bytes without the time, since all test processes must see the same parameters."""
    return gzip.compress(data, mtime=0)


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

"""The ratings files that commands read."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mfcli.cli import output
from mfcli.config import Config
from mfcli.errors import UsageError

if TYPE_CHECKING:
    from mfcli.data import Ratings


def columns_of(
    user: str | None, item: str | None, rating: str | None, time: str | None
) -> dict[str, str]:
    named = {"user": user, "item": item, "rating": rating, "timestamp": time}
    return {role: name for role, name in named.items() if name is not None}


@contextmanager
def place_for_rejected(settings: Config) -> Iterator[Path | None]:
    """Give a place to list faulty rows if they are to be skipped."""
    if settings.on_bad_row == "stop":
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "rejected.csv"


def read_files(
    names: list[str],
    columns: dict[str, str],
    settings: Config,
    quiet: bool,
    rejected: Path | None = None,
) -> Ratings:
    """Read files of ratings behind a progress bar in bytes."""
    from mfcli.data import read_ratings

    with output.byte_bar(f"reading {names[0]}", quiet) as on_progress:
        return read_ratings(
            names,
            columns=columns,
            decimal=settings.decimal,
            duplicates=settings.duplicates,
            rejected=rejected,
            on_progress=on_progress,
        )


def run_names(paths: list[Path]) -> list[str]:
    """Name runs by file, by folder or by path, whichever tells them apart first."""
    for names in ([p.stem for p in paths], [p.resolve().parent.name for p in paths]):
        if len(set(names)) == len(paths):
            return names
    names = [str(path) for path in paths]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"{twice} is named twice; name each run once")
    return names

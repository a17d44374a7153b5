"""The ratings files that commands read."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mfcli import output
from mfcli.config import Config

if TYPE_CHECKING:
    from mfcli.ratings import Ratings
    from mfcli.split import Split


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
    from mfcli.reading import read_ratings

    with output.byte_bar(f"reading {names[0]}", quiet) as on_progress:
        return read_ratings(
            names,
            columns=columns,
            decimal=settings.decimal,
            duplicates=settings.duplicates,
            rejected=rejected,
            on_progress=on_progress,
        )


def ratings_of(
    parts: Split, on: str, columns: dict[str, str], settings: Config, quiet: bool
) -> Ratings:
    """Find the ratings that `--on` names."""
    from mfcli.errors import ArtifactError
    from mfcli.split import PARTS

    if on not in PARTS:
        with place_for_rejected(settings) as rejected:
            return read_files([on], columns, settings, quiet, rejected)
    if on not in parts.parts:
        raise ArtifactError(f"the split has no {on} ratings; split again with --{on} 0.1")
    return parts.parts[on]

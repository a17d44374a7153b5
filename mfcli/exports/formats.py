"""The table of export formats.

To add a format, write a module with a function that writes a model to a path, add an entry to
`FORMATS`, and name the format in the help of `mfcli export`. A format is a zip archive, which a
comment marks as an export, or a folder, which a record marks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from mfcli.errors import UsageError
from mfcli.exports.keras_model import write_keras
from mfcli.exports.libmf import write_libmf
from mfcli.exports.npz import write_npz
from mfcli.exports.tables import write_csv, write_parquet
from mfcli.exports.vectors import write_vectors
from mfcli.model import Model

Write: TypeAlias = Callable[[Path, Model], None]
"""Writes a file, or the files of a folder that exists, for a model."""


@dataclass(frozen=True)
class Format:
    """An export format.

    Attributes
    ----------
    out : Path
        Default place: a zip archive if it has a suffix, otherwise a folder.
    write : callable
    files : tuple of str
        For a folder: all names that may be in it.
    write_for_ids : callable, optional
        Writes a model that takes raw ids, if `write` writes one that takes rows.
    record : str
        For a folder: where in it the record of the export is.
    check_out : callable, optional
        Raises `UsageError` if a place does not suit the format.
    """

    out: Path
    write: Write
    files: tuple[str, ...] = ()
    write_for_ids: Write | None = None
    record: str = "export.json"
    check_out: Callable[[Path], None] | None = None

    @property
    def is_folder(self) -> bool:
        return not self.out.suffix


def _write_saved_model(folder: Path, model: Model, *, raw_ids: bool) -> None:
    # Imported here because it loads TensorFlow, which takes seconds.
    from mfcli.exports.saved_model import write_saved_model

    write_saved_model(folder, model, raw_ids=raw_ids)


def _check_version(out: Path) -> None:
    """Refuse a folder that TensorFlow Serving would not find."""
    if not out.name.isdecimal():
        rule = "must end in a version number, which TensorFlow Serving requires"
        raise UsageError(rule, place=out, remedy=f"use {out / '1'}")


FORMATS = {
    "keras": Format(
        out=Path("export/model.keras"),
        write=partial(write_keras, raw_ids=False),
        write_for_ids=partial(write_keras, raw_ids=True),
    ),
    "savedmodel": Format(
        out=Path("export/savedmodel/1"),
        write=partial(_write_saved_model, raw_ids=False),
        write_for_ids=partial(_write_saved_model, raw_ids=True),
        files=(
            "saved_model.pb",
            "fingerprint.pb",
            "variables",
            "variables.index",
            "variables.data-00000-of-00001",
            "assets",
            "assets.extra",
        ),
        record="assets.extra/export.json",  # TensorFlow does not load what is in this folder
        check_out=_check_version,
    ),
    "npz": Format(out=Path("export/model.npz"), write=write_npz),
    "csv": Format(
        out=Path("export/csv"),
        write=write_csv,
        files=("users.csv", "items.csv"),
    ),
    "parquet": Format(
        out=Path("export/parquet"),
        write=write_parquet,
        files=("users.parquet", "items.parquet"),
    ),
    "libmf": Format(
        out=Path("export/libmf"),
        write=write_libmf,
        files=("model.txt", "users.csv", "items.csv"),
    ),
    "vectors": Format(
        out=Path("export/vectors"),
        write=write_vectors,
        files=("users.parquet", "items.parquet"),
    ),
}
"""The formats by name."""

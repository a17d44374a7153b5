"""Write exports: where they go, what they may replace, and their record."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import NamedTuple

from mfcli.arguments import check_type, path_of
from mfcli.errors import ArtifactError, Param, UsageError
from mfcli.exports.formats import FORMATS, Write
from mfcli.model import Model
from mfcli.storage import (
    Record,
    check_replaceable,
    check_writable_file,
    replacing_file,
    replacing_folder,
    write_record,
)

_MARK = b"mfcli export"  # comment that identifies a zip file as written here
_REMEDY = "choose another place or move it"


class ExportRecord(Record):
    """What `export.json` in the folder of an export says.

    Attributes
    ----------
    export : str
        The export format, one of `FORMATS`.
    k : int
    mu : float
    scale : dict
        Smallest and largest rating and the step between ratings: `min`, `max` and `step`.
    users, items : int
    ids : dict of str
        Types of the ids of `users` and `items`: int64 or string.
    split : str
        Hash of the split that the model was trained on.
    predicts : str
        "ratings", or "scores", which rank items and are not on the scale.
    """

    FORMAT = 1

    export: str
    k: int
    mu: float
    scale: dict[str, float | None]
    users: int
    items: int
    ids: dict[str, str]
    split: str
    predicts: str


class Exported(NamedTuple):
    """An export.

    Attributes
    ----------
    out : Path
        The file or folder.
    bytes : int
        Its size.
    """

    out: Path
    bytes: int


def check_request(format: str, out: Path | None, raw_ids: bool) -> Path:
    """Check what is requested, before any work; return where the export goes.

    Raises
    ------
    UsageError
        If the format is unknown, cannot take raw ids, or requires another name of the file or
        folder.
    """
    if format not in FORMATS:
        *names, last = FORMATS
        raise UsageError(f"must be {', '.join(names)} or {last}", param="format", value=format)
    chosen = FORMATS[format]
    if raw_ids and not chosen.write_for_ids:
        rule: list[str | Param] = ["is not available with ", Param("format", format)]
        raise UsageError(rule, param="raw_ids", remedy="omit it")
    out = chosen.out if out is None else out
    if out.suffix != chosen.out.suffix and not chosen.is_folder:
        raise UsageError(f"must end in {chosen.out.suffix}", place=out)
    if chosen.check_out:
        chosen.check_out(out)
    return out


def export(
    model: Model,
    format: str,
    out: str | os.PathLike[str] | None = None,
    *,
    raw_ids: bool = False,
) -> Exported:
    """Write a model in a format, replacing an older export completely.

    Parameters
    ----------
    model : Model
    format : str
        keras, savedmodel, npz, csv, parquet, libmf or vectors.
    out : path, optional
        The file or folder to write; by default in `export/`.
    raw_ids : bool
        Write a model that takes raw ids instead of rows.

    Returns
    -------
    Exported

    Raises
    ------
    UsageError
        If the model has another type, the format is unknown, cannot take raw ids, or requires
        another name of the file or folder.
    ArtifactError
        If `out` was not written by an export or cannot be written, or if the format cannot
        represent an id.
    """
    check_type(model, Model, "model", "load one with Model.load, or train one with fit")
    check_type(format, str, "format")
    target = check_request(format, None if out is None else path_of(out, "out"), raw_ids)
    chosen = FORMATS[format]
    write = chosen.write_for_ids if raw_ids and chosen.write_for_ids else chosen.write
    if chosen.is_folder:
        _write_folder(target, model, format, write)
    else:
        _write_file(target, model, write)
    files = (target, *target.rglob("*"))
    return Exported(target, sum(path.stat().st_size for path in files if path.is_file()))


def _write_file(out: Path, model: Model, write: Write) -> None:
    if out.is_file() and not _is_marked(out):
        raise ArtifactError("was not written by mfcli export", place=out, remedy=_REMEDY)
    check_writable_file(out)
    with replacing_file(out) as temporary:
        write(temporary, model)
        with zipfile.ZipFile(temporary, "a") as archive:  # all file formats are zip archives
            archive.comment = _MARK


def _is_marked(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.comment == _MARK
    except (OSError, zipfile.BadZipFile):
        return False


def _write_folder(out: Path, model: Model, format: str, write: Write) -> None:
    """Write a folder. It may replace an export in any format, but no other files of these names."""
    records = [one.record for one in FORMATS.values() if (out / one.record).is_file()]
    files = {name for one in FORMATS.values() for name in (*one.files, Path(one.record).name)}
    names = [records[0] if records else FORMATS[format].record, *sorted(files)]
    check_replaceable(out, names)
    with replacing_folder(out, names) as temporary:
        write(temporary, model)
        record = temporary / FORMATS[format].record
        record.parent.mkdir(exist_ok=True)
        write_record(record, _record(model, format))


def _record(model: Model, format: str) -> ExportRecord:
    return ExportRecord(
        export=format,
        k=model.k,
        mu=model.mu,
        scale=model.scale._asdict(),
        users=len(model.users),
        items=len(model.items),
        ids={"users": str(model.users.ids.type), "items": str(model.items.ids.type)},
        split=model.split_hash,
        predicts=model.predicts,
    )

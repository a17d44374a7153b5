"""A trained model in the formats of other programs.

Some hold it as vectors, since in K + 2 dimensions the rating is an inner product:

    mu + b_u + b_i + p_u . q_i  =  [p_u, b_u + mu, 1] . [q_i, 1, b_i]
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mfcli import __version__
from mfcli.data import csv_bytes, to_arrow
from mfcli.errors import ArtifactError, UsageError
from mfcli.model import Model, write_keras_file
from mfcli.storage import (
    check_replaceable,
    check_writable_file,
    json_text,
    replacing_file,
    replacing_folder,
    write_arrays,
)

FORMAT = 1
MANIFEST = "export.json"
_EXTRA = "assets.extra"  # where a SavedModel keeps what TensorFlow is not to load
_MARK = b"mfcli export"  # the comment of a zip file by which it is known as ours
_DIGITS = 9  # decimal digits that tell any two float32 apart
_LIBMF_SQUARED = 0  # LIBMF's number for real-valued factorization with squared loss, P_L2_MFR
_LIBMF_STYLE = pacsv.WriteOptions(include_header=False, delimiter=" ", quoting_style="none")

Write = Callable[[Path, Model], None]
Column = Callable[[NDArray[np.float32]], pa.Array]


class Format(NamedTuple):
    """How a model is exported.

    Attributes
    ----------
    out : Path
        Where to, unless told otherwise: a file if it has a suffix, else a folder.
    write : callable
        Writes a file, or the files of a folder, for a model.
    write_for_ids : callable, optional
        Writes a model that takes raw ids, where `write` writes one that takes rows.
    """

    out: Path
    write: Write
    write_for_ids: Write | None = None

    @property
    def is_folder(self) -> bool:
        return not self.out.suffix


def check_request(name: str, out: Path | None, raw_ids: bool) -> Path:
    """Refuse what cannot be; return where to export to.

    Raises
    ------
    UsageError
        If there is no such format, or it has no use for `raw_ids`, or wants another name.
    """
    if name not in FORMATS:
        *names, last = FORMATS
        raise UsageError(f"--format must be {', '.join(names)} or {last}, got {name!r}")
    kind = FORMATS[name]
    if raw_ids and not kind.write_for_ids:
        raise UsageError(f"--raw-ids does not go with --format {name}; leave it out")
    out = kind.out if out is None else out
    if out.suffix != kind.out.suffix and not kind.is_folder:
        raise UsageError(f"{out}: must end in {kind.out.suffix}")
    if name == "savedmodel" and not out.name.isdecimal():
        raise UsageError(
            f"{out}: must end in a version number, as TensorFlow Serving wants it;"
            f" such as {out / '1'}"
        )
    return out


def export(model: Model, name: str, out: Path, *, raw_ids: bool = False) -> int:
    """Write a model in a format, replacing an older export whole.

    Parameters
    ----------
    model : Model
    name : str
        One of `FORMATS`.
    out : Path
        The file or folder to write, checked by `check_request`.
    raw_ids : bool
        Whether a model that is to be called takes raw ids, not rows.

    Returns
    -------
    int
        Bytes written.

    Raises
    ------
    ArtifactError
        If `out` was not written by an export or cannot be written, or the format cannot hold an id.
    """
    kind = FORMATS[name]
    write = kind.write_for_ids if raw_ids and kind.write_for_ids else kind.write
    if kind.is_folder:
        _write_folder(out, model, name, write)
    else:
        _write_file(out, model, write)
    return sum(path.stat().st_size for path in (out, *out.rglob("*")) if path.is_file())


def _write_file(out: Path, model: Model, write: Write) -> None:
    check_writable_file(out)
    if out.exists() and not _is_marked(out):
        raise ArtifactError(
            f"{out}: was not written by mfcli export; choose another place or move it"
        )
    with replacing_file(out) as temporary:
        write(temporary, model)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.comment = _MARK


def _is_marked(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.comment == _MARK
    except (OSError, zipfile.BadZipFile):
        return False


def _write_folder(out: Path, model: Model, name: str, write: Write) -> None:
    check_replaceable(out, _FILES)
    found = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
    if found and not any((out / place).is_file() for place in (MANIFEST, f"{_EXTRA}/{MANIFEST}")):
        raise ArtifactError(
            f"{out}: holds files that mfcli did not write ({found[0]!r});"
            " choose another place or move them"
        )
    with replacing_folder(out, _FILES) as temporary:
        write(temporary, model)
        place = temporary / _EXTRA if name == "savedmodel" else temporary
        place.mkdir(exist_ok=True)
        (place / MANIFEST).write_text(json_text(_manifest(model, name)), encoding="utf-8")


def _manifest(model: Model, name: str) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "mfcli": __version__,
        "export": name,
        "k": model.k,
        "mu": model.mu,
        "scale": model.scale._asdict(),
        "users": len(model.users),
        "items": len(model.items),
        "ids": {"users": str(model.users.ids.type), "items": str(model.items.ids.type)},
        "split": model.split_hash,
    }


def _write_keras(path: Path, model: Model, *, raw_ids: bool) -> None:
    network = model.network(raw_ids=raw_ids)
    for ids in network.ids.values():
        _refuse_zero_at_end(ids, "Keras")
    write_keras_file(path, network, model.tables)


def _write_saved_model(folder: Path, model: Model, *, raw_ids: bool) -> None:
    from mfcli.export.saved_model import write_saved_model

    write_saved_model(folder, model, raw_ids=raw_ids)


def _write_npz(path: Path, model: Model) -> None:
    for ids in (model.users.ids, model.items.ids):
        _refuse_zero_at_end(ids, "NumPy")
    low, high, step = model.scale
    arrays = {
        **model.tables,
        "mu": np.float64(model.mu),
        "users": np.array(model.users.ids.to_pylist()),
        "items": np.array(model.items.ids.to_pylist()),
        "scale": np.array([low, high, math.nan if step is None else step]),
    }
    write_arrays(path, arrays)


def _refuse_zero_at_end(ids: pa.Array, who: str) -> None:
    """Refuse texts that NumPy's arrays would shorten; Keras's layers hold theirs in such arrays."""
    if ids.type != pa.string():
        return
    at = pc.index(pc.ends_with(ids, "\0"), True).as_py()
    if at >= 0:
        raise ArtifactError(
            f"the id {ids[at].as_py()!r} ends in a zero byte, which {who} would drop;"
            " choose another format"
        )


def _write_csv(folder: Path, model: Model) -> None:
    for name, table in _tables(model, _nine_digits).items():
        (folder / f"{name}.csv").write_bytes(csv_bytes(table))


def _write_parquet(folder: Path, model: Model) -> None:
    for name, table in _tables(model, _as_it_is).items():
        pq.write_table(table, folder / f"{name}.parquet", use_dictionary=False)


def _tables(model: Model, column: Column) -> dict[str, pa.Table]:
    """Lay users and items out with a column for each number of theirs."""
    sides = {
        "users": (model.users, model.user_biases, model.user_factors),
        "items": (model.items, model.item_biases, model.item_factors),
    }
    return {
        name: pa.table(
            {
                "id": vocabulary.ids,
                "count": to_arrow(vocabulary.counts, pa.int64()),
                "bias": column(biases),
                **{f"factor_{number}": column(c) for number, c in enumerate(factors.T, 1)},
            }
        )
        for name, (vocabulary, biases, factors) in sides.items()
    }


def _as_it_is(values: NDArray[np.float32]) -> pa.Array:
    return to_arrow(values, pa.float32())


def _nine_digits(values: NDArray[np.float32]) -> pa.Array:
    """Round to what is written with nine digits, so that any reader gets the same float32.

    Nine digits are off by 5e-9 of it at most, its neighbours by 6e-8. The fewest digits that would
    do may lie halfway, where who reads a double and rounds that goes wrong.
    """
    wide = values.astype(np.float64)
    size = np.abs(np.where(wide == 0, 1, wide))
    scale = 10.0 ** (_DIGITS - 1 - np.floor(np.log10(size)))
    return to_arrow(np.rint(wide * scale) / scale, pa.float64())


def vectors(model: Model) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Put users and items into K + 2 dimensions, where inner products are ratings.

    Returns
    -------
    users, items : float32 arrays, shapes (n_users + 1, k + 2) and (n_items + 1, k + 2)
        [p_u, b_u + mu, 1] and [q_i, 1, b_i]; the last row of each stands for what is unknown, with
        zeros for its factors and its bias.
    """
    k = model.k
    users = np.zeros((len(model.users) + 1, k + 2), np.float32)
    items = np.zeros((len(model.items) + 1, k + 2), np.float32)
    users[:-1, :k], items[:-1, :k] = model.user_factors, model.item_factors
    users[:-1, k] = model.user_biases.astype(np.float64) + model.mu
    users[-1, k] = model.mu
    items[:-1, k + 1] = model.item_biases
    users[:, k + 1] = items[:, k] = 1
    return users, items


def _write_vectors(folder: Path, model: Model) -> None:
    users, items = vectors(model)
    sides = {"users": (model.users.ids, users), "items": (model.items.ids, items)}
    for name, (ids, rows) in sides.items():
        numbers = to_arrow(rows[:-1].ravel(), pa.float32())
        lists = pa.FixedSizeListArray.from_arrays(numbers, rows.shape[1])
        table = pa.table({"id": ids, "vector": lists})
        pq.write_table(table, folder / f"{name}.parquet", use_dictionary=False)


def _write_libmf(folder: Path, model: Model) -> None:
    """Write LIBMF's text file, as its `mf_save_model` does, and the ids of its rows."""
    users, items = vectors(model)
    head = {
        "f": _LIBMF_SQUARED,
        "m": len(users),
        "n": len(items),
        "k": model.k + 2,
        "b": f"{model.mu:.{_DIGITS}g}",
    }
    with pa.OSFile(str(folder / "model.txt"), "wb") as file:
        file.write("".join(f"{name} {value}\n" for name, value in head.items()).encode())
        for letter, rows in (("p", users), ("q", items)):
            pacsv.write_csv(_libmf_lines(letter, rows), file, _LIBMF_STYLE)
    for name, ids in (("users", model.users.ids), ("items", model.items.ids)):
        numbers = to_arrow(np.arange(len(ids), dtype=np.int32), pa.int32())
        (folder / f"{name}.csv").write_bytes(csv_bytes(pa.table({"row": numbers, "id": ids})))


def _libmf_lines(letter: str, rows: NDArray[np.float32]) -> pa.Table:
    """Lay out lines such as "p0 T 0.5 1"; T says that the numbers are numbers."""
    names = pa.array([f"{letter}{row}" for row in range(len(rows))])
    columns = [names, pa.repeat("T", len(rows)), *map(_nine_digits, rows.T)]
    return pa.table(columns, [str(number) for number in range(len(columns))])


FORMATS = {
    "keras": Format(
        Path("export/model.keras"),
        partial(_write_keras, raw_ids=False),
        partial(_write_keras, raw_ids=True),
    ),
    "savedmodel": Format(
        Path("export/savedmodel/1"),
        partial(_write_saved_model, raw_ids=False),
        partial(_write_saved_model, raw_ids=True),
    ),
    "npz": Format(Path("export/model.npz"), _write_npz),
    "csv": Format(Path("export/csv"), _write_csv),
    "parquet": Format(Path("export/parquet"), _write_parquet),
    "libmf": Format(Path("export/libmf"), _write_libmf),
    "vectors": Format(Path("export/vectors"), _write_vectors),
}
"""By the names of `--format`."""

_FILES = {
    MANIFEST,
    *(f"{side}.{suffix}" for side in ("users", "items") for suffix in ("csv", "parquet")),
    "model.txt",
    *("saved_model.pb", "fingerprint.pb", "variables", "variables.index"),
    *("variables.data-00000-of-00001", "assets", _EXTRA),
}
"""What folders of exports may hold."""

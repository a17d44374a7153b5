"""A quick look at files of ratings: their layout, and about how many ratings they have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from mfcli.data.arguments import check_reading, listed_paths
from mfcli.data.feedback import EXPLICIT, meaning_of
from mfcli.data.file_reader import NO_RATING
from mfcli.data.formats.encodings import UTF8
from mfcli.data.formats.layout import Layout
from mfcli.data.formats.tables import table_rows
from mfcli.data.rating_files import How, find_rating_layouts
from mfcli.data.rating_tables import TYPES
from mfcli.data.sizes import ratings_within
from mfcli.data.sources import File, open_sources
from mfcli.errors import DataError, UsageError
from mfcli.storage import room

_WINDOWS, _WINDOW = 16, 1 << 16  # samples of a text, and their bytes
_WHOLE = _WINDOWS * _WINDOW  # bytes; smaller files are counted completely
_HEAD = 1 << 22  # bytes of a compressed text whose lines are counted
_COLUMNS = {"user": 4, "item": 4, "rating": 4, "timestamp": 8, "weight": 4}  # bytes per rating


@dataclass(frozen=True)
class Survey:
    """What is known about files of ratings before they are read.

    Attributes
    ----------
    name : str
        Their names.
    files, bytes : int
        Number of files, and their size.
    format : str
    columns : dict of str
        The name of the column of each role.
    rows : int
        Number of rows.
    exact : bool
        Whether the files state it; otherwise it is estimated from samples.
    feedback : str
        As in `Ratings`.
    compressed : bool
        Whether files have to be decompressed.
    """

    name: str
    files: int
    bytes: int
    format: str
    columns: dict[str, str]
    rows: int
    exact: bool
    feedback: str
    compressed: bool

    @property
    def row_bytes(self) -> int:
        """The bytes of a rating in a split."""
        return sum(size for role, size in _COLUMNS.items() if role in {*self.columns, "rating"})

    @property
    def on_disk(self) -> int:
        """About how many bytes of temporary space reading needs; 0 if all fits in memory."""
        if self.rows <= ratings_within(room()):
            return 0
        return self.rows * (self.row_bytes + sum(kind.itemsize for kind in TYPES.values()))


def survey_ratings(names: Path | str | Sequence[Path | str], **how: Unpack[How]) -> Survey:
    """Look at files of ratings: at their first lines, and at samples of texts.

    Parameters
    ----------
    names
        As for `read_ratings`, but not standard input or a pipe, which can be read only once.
    **how
        As for `read_buckets`.

    Raises
    ------
    DataError
        If a file is missing, or its layout is not one of ratings, or the files hold none.
    UsageError, ConfigError
        If an argument breaks its rule.
    """
    columns, feedback = how.get("columns"), how.get("feedback")
    decimal, duplicates = how.get("decimal", "."), how.get("duplicates")
    check_reading(
        columns,
        decimal=decimal,
        duplicates=duplicates,
        feedback=feedback,
        on_bad_row=how.get("on_bad_row", "stop"),
    )
    listed = listed_paths(names)
    for name in listed:
        if name == "-" or Path(name).is_fifo():
            rule = "cannot be looked at without reading it, which is possible only once"
            raise UsageError(rule, place="<stdin>" if name == "-" else name, remedy="name a file")
    events = how.get("events", False) and feedback != EXPLICIT
    with open_sources(listed, how.get("encoding", UTF8)) as files:
        layouts = find_rating_layouts(files, columns, how.get("like"), decimal, events=events)
        meaning = meaning_of("rating" in layouts[0].columns, feedback, duplicates)
        counts = [_rows(layout) for layout in layouts]
        if not any(rows for rows, _ in counts):
            raise DataError(NO_RATING, place=layouts[0].file)
        return Survey(
            name=", ".join(Path(name).name for name in listed),
            files=len(files),
            bytes=sum(file.bytes for file in files),
            format=str(layouts[0]),
            columns=layouts[0].roles,
            rows=sum(rows for rows, _ in counts),
            exact=all(exact for _, exact in counts),
            feedback=meaning.feedback,
            compressed=any(file.compression for file in files),
        )


def _rows(layout: Layout) -> tuple[int, bool]:
    """Return the number of rows of a file, and whether it is exact."""
    rows = None if layout.format == "text" else table_rows(layout.file, layout.format)
    if rows is not None:
        return rows, True
    return max(round(_lines(layout.file)) - layout.skip, 0), False


def _lines(file: File) -> float:
    if file.compression or file.encoding != UTF8:
        return _lines_of_stream(file)
    if file.bytes <= _WHOLE:
        return _ended_lines(file.path.read_bytes())
    step = (file.bytes - _WINDOW) / (_WINDOWS - 1)
    with file.path.open("rb") as raw:
        breaks = 0
        for number in range(_WINDOWS):  # lines may become longer towards the end
            raw.seek(round(number * step))
            breaks += raw.read(_WINDOW).count(b"\n")
    return file.bytes * breaks / _WHOLE


def _lines_of_stream(file: File) -> float:
    """Estimate the lines of a text that cannot be read from its middle."""
    with file.reading() as (stream, raw):
        head = stream.read(_HEAD)
        if not stream.read(1):
            return _ended_lines(head)
        read: int = raw.tell()
    return head.count(b"\n") * file.bytes / read


def _ended_lines(text: bytes) -> int:
    return text.count(b"\n") + (not text.endswith(b"\n"))

"""Read files of ratings in any format, piece by piece; only numeric columns stay in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from mfcli.arguments import check_functions, path_of
from mfcli.data.arguments import check_reading, listed_paths
from mfcli.data.arrow_arrays import to_arrow, to_numpy
from mfcli.data.checked_columns import table_columns
from mfcli.data.duplicates import merge_duplicates
from mfcli.data.faults import Fault, OnFault, Rejects
from mfcli.data.feedback import EXPLICIT, IMPLICIT, Meaning, meaning_of, positive_roles
from mfcli.data.formats.columns import may_be_events
from mfcli.data.formats.layout import Layout
from mfcli.data.formats.parts import find_layouts
from mfcli.data.formats.strict_text import plain_ratings
from mfcli.data.formats.tables import table_rows
from mfcli.data.formats.text import Refused, TextPiece, read_text
from mfcli.data.ids import empty_ids, is_text
from mfcli.data.rating_pieces import Collector, RatingPiece, rating_piece
from mfcli.data.ratings import Ratings, Source
from mfcli.data.row_places import place_of
from mfcli.data.sizes import LARGE
from mfcli.data.sources import HEAD, File, digest, open_sources
from mfcli.data.suspicious_ids import warn_of_ids
from mfcli.data.thousands import check_thousands
from mfcli.data.times import time_column
from mfcli.errors import DataError, Param, Text, warn
from mfcli.storage import check_memory, cores
from mfcli.types import Floats, Progress

_BYTES = 40  # smallest memory per rating while it is read and split
_MOST_PARSERS = 4  # threads that parse
_SHOWN = 5  # columns in a message
_HASHED = pa.dictionary(pa.int32(), pa.string())  # Python sees each id once per piece
_TYPES: dict[str, pa.DataType | None] = {
    "user": _HASHED,
    "item": _HASHED,
    "rating": pa.float32(),
    "weight": pa.float32(),
    "timestamp": None,  # numbers or dates, as Arrow finds
}


def read_ratings(
    names: Path | str | Sequence[Path | str],
    *,
    columns: Mapping[str, str] | None = None,
    like: Mapping[str, str] | None = None,
    decimal: str = ".",
    encoding: str = "utf-8",
    duplicates: str | None = None,
    feedback: str | None = None,
    on_bad_row: str = "stop",
    rejected: Path | str | None = None,
    events: bool = False,
    on_progress: Progress = lambda done, total: None,
) -> Ratings:
    """Read ratings from a file, several files, folders of part files, or standard input ("-").

    Parameters
    ----------
    names : Path or str, or a sequence of them
        CSV or TSV with or without a header, MovieLens `u.data` or `ratings.dat`, JSON lines, each
        also compressed with gzip, bz2, xz, zstd or zip; Parquet or Arrow. Separators are commas,
        tabs, semicolons, "|", "::" or spaces. The content decides, not the name. Several files
        agree on format, header and the columns of roles; columns with names may have another order
        in each file. Empty files in a folder are left out.
    columns : mapping of str, optional
        Names of the columns "user", "item", "rating" and "timestamp" if they are not known ones;
        positions from 1 mean that a file has no header; "" as "timestamp" ignores times. With "" as
        "rating", each row is an event: implicit feedback of strength 1. "weight" names a column of
        positive weights, which is not read by default.
    like : mapping of str, optional
        Columns of other ratings, as in `Source.columns`; columns with these names are looked for
        first, also that of weights.
    decimal : {".", ","}
        Decimal mark of the ratings in a text.
    encoding : str
        Encoding of texts, such as "latin-1". UTF-16, and all texts with a byte order mark, are
        detected.
    duplicates : {"keep-last", "mean", "sum", "error"}, optional
        How ratings of the same user and item are merged; by default keep-last, or sum for implicit
        feedback. The last one is the latest if there are times; without times, it is the one that
        comes last in the files.
    feedback : {"explicit", "implicit"}, optional
        Whether the values are ratings or strengths of events, such as play counts, which must be
        positive. By default, they are implicit feedback if there is no rating column.
    on_bad_row : {"stop", "skip"}
        Whether the first invalid row is an error, or invalid rows are skipped.
    rejected : path, optional
        Skip invalid rows and list them in this CSV file, which is created if there are any.
    events : bool
        Whether each row is an event if the files have no rating column, as with "" as "rating".
    on_progress : callable, optional
        Called with the bytes read so far and the bytes of all files.

    Returns
    -------
    Ratings
        In the order of the files. Ids from text are integers if none of them changes.

    Raises
    ------
    DataError
        If a file cannot be read, lacks a column, or has an invalid row that is not skipped.
    LimitError
        If the ratings cannot fit in memory.
    UsageError, ConfigError
        If an argument breaks its rule.
    """
    check_reading(
        columns, decimal=decimal, duplicates=duplicates, feedback=feedback, on_bad_row=on_bad_row
    )
    check_functions(on_progress=on_progress)
    listed = listed_paths(names)
    rejected = None if rejected is None else path_of(rejected, "rejected")
    rejects = Rejects(rejected) if rejected or on_bad_row == "skip" else None
    with (
        rejects or nullcontext(),
        open_sources(listed, encoding) as files,
        ThreadPoolExecutor(1) as pool,
    ):
        sha256 = pool.submit(digest, files)  # hashing releases Python's lock
        found = _layouts(files, columns, like, decimal, events=events and feedback != EXPLICIT)
        meaning = meaning_of("rating" in found[0].columns, feedback, duplicates)
        layouts = [replace(layout, implicit=meaning.implicit) for layout in found]
        _check_memory(layouts)
        reader = _Reader(layouts, rejects, meaning.feedback)
        ratings = reader.read(on_progress)
        reader.check(ratings)
        # Arrow keeps the memory of its pieces, which merging would need.
        pa.default_memory_pool().release_unused()
        merged = merge_duplicates(ratings, meaning.duplicates, reader.place)
        source = Source(
            name=", ".join(Path(name).name for name in listed) if listed != ["-"] else "<stdin>",
            files=len(files),
            bytes=sum(file.bytes for file in files),
            sha256=sha256.result(),
            format=str(layouts[0]),
            columns=layouts[0].roles,
            rows=sum(reader.rows),
            duplicates=merged.duplicates,
            conflicts=merged.conflicts,
            rejected=dict(sorted(rejects.counts.items())) if rejects else {},
            settings=_settings(layouts[0], decimal, meaning, rejects),
        )
    return replace(merged.ratings, source=source)


def _settings(
    layout: Layout, decimal: str, meaning: Meaning, rejects: Rejects | None
) -> dict[str, str]:
    """Return the settings of the data stage that were used."""
    used = {"duplicates": meaning.duplicates, "on_bad_row": "stop" if rejects is None else "skip"}
    if layout.format != "text":
        return used
    return {"decimal": decimal, "encoding": layout.file.encoding, **used}


def _layouts(
    files: Sequence[File],
    columns: Mapping[str, str] | None,
    like: Mapping[str, str] | None,
    decimal: str,
    *,
    events: bool,
) -> list[Layout]:
    """Find the layouts of files; with `events`, also of files without a rating column."""
    try:
        return find_layouts(files, columns, decimal, names=like)
    except DataError as error:
        if not (events and may_be_events(error)):
            raise
    layouts = find_layouts(files, {**(columns or {}), "rating": ""}, decimal, names=like)
    _warn_of_unused(layouts[0])
    return layouts


def _warn_of_unused(layout: Layout) -> None:
    """Warn of columns that may hold strengths if no column is known to hold ratings."""
    unused = [n for at, n in enumerate(layout.names) if at not in layout.columns.values()]
    if not unused:
        return
    shown = ", ".join(unused[:_SHOWN]) + (", ..." if len(unused) > _SHOWN else "")
    warn(
        f"has no rating column, so each row is an event; unused columns: {shown}",
        place=layout.file,
        remedy=_strengths_in(unused),
    )


def _strengths_in(unused: Sequence[str]) -> Text:
    implicit = Param("feedback", IMPLICIT)
    which, name = ("one", []) if len(unused) > 1 else ("it", [unused[0]])
    use = Param("columns.rating", *name)
    return [f"if {which} holds ratings, use ", use, ", and for counts of events also ", implicit]


def _check_memory(layouts: list[Layout]) -> None:
    """Refuse files that cannot fit in memory, given the smallest number of ratings in them."""
    ratings = sum(map(_ratings_in, layouts))
    need, name = ratings * _BYTES, ", ".join(str(layout.file) for layout in layouts[:3])
    check_memory(need, f"reading {name} ({ratings:,} ratings or more)", "read fewer ratings")


def _ratings_in(layout: Layout) -> int:
    """Return the number of ratings in a file, or a low estimate."""
    rows = None if layout.format == "text" else table_rows(layout.file, layout.format)
    if rows is not None:
        return rows
    with layout.file.reading() as (stream, _):
        head = stream.read(HEAD)
    # Low, since all lines count as the longest, and compressed files with their stored size.
    longest = max(map(len, head.splitlines()), default=1) + 1
    return layout.file.bytes // longest


@dataclass
class _Reader:
    """Reads files of known layouts.

    Attributes
    ----------
    layouts : list of Layout
    rejects : Rejects, optional
        Collects invalid rows; without it the first one is an error.
    feedback : {"explicit", "implicit"}
    rows : list of int
        Number of ratings read from each file.
    """

    layouts: list[Layout]
    rejects: Rejects | None
    feedback: str

    def __post_init__(self) -> None:
        self.rows = [0] * len(self.layouts)

    def read(self, on_progress: Progress) -> Ratings:
        collected = Collector(self.feedback)
        total, before = sum(layout.file.bytes for layout in self.layouts), 0
        for number, layout in enumerate(self.layouts):
            on_fault = partial(self._on_fault, layout)
            skipped = self._skipped()
            read = _read_text if layout.format == "text" else _read_table
            for piece, position in read(layout, on_fault):
                # The strict reader counts the bytes that it writes, which may be more.
                done = min(before + position, total)
                collected.add(piece, done / total)
                self.rows[number] += len(piece)
                on_progress(done, total)
            before += layout.file.bytes
            _check_complete(layout, self.rows[number] + self._skipped() - skipped)
        if not sum(self.rows):
            rule = "holds no valid rating" if self._skipped() else "holds no rating, only a header"
            raise DataError(rule, place=self.layouts[0].file)
        return collected.ratings(self.layouts[0].file, self.place)

    def _skipped(self) -> int:
        return self.rejects.counts.total() if self.rejects else 0

    def check(self, ratings: Ratings) -> None:
        """Warn of ratings and ids of texts that are probably not what was meant."""
        ends = np.cumsum(self.rows)
        for layout, end, rows in zip(self.layouts, ends, self.rows, strict=True):
            check_thousands(layout, ratings.rating[end - rows : end])
        first = self.layouts[0]
        for role, known in (("user", ratings.users), ("item", ratings.items)):
            starts_lines = first.format == "text" and first.columns[role] == 0
            warn_of_ids(first.file, role, known.ids, starts_lines=starts_lines)

    def place(self, row: int) -> str:
        """Return the file and line of a rating, given its position from 0."""
        # The file is the first one whose rows end after this row.
        number = int(np.searchsorted(np.cumsum(self.rows), row, side="right"))
        return place_of(self.layouts[number], row - sum(self.rows[:number]))

    def _on_fault(self, layout: Layout, line: int, fault: Fault, fields: Sequence[str]) -> None:
        if self.rejects is None:
            remedy: Text = ["skip invalid rows with ", Param("on_bad_row", "skip")]
            raise fault.error(layout.place(line), remedy)
        self.rejects.add(layout.file, line, fault, (layout.separator or ",").join(fields))


def _check_complete(layout: Layout, rows: int) -> None:
    """Refuse a text with another number of rows than it states."""
    if layout.rows is not None and rows != layout.rows:
        raise DataError(
            f"states {layout.rows:,} entries, but {rows:,} follow",
            place=layout.place(layout.skip),
            remedy="get the file again if it is cut off; otherwise correct the number",
        )


def _read_text(layout: Layout, on_fault: OnFault) -> Iterator[tuple[RatingPiece, int]]:
    return read_text(
        layout,
        _parsed,
        partial(plain_ratings, layout, on_fault=on_fault),
        min(cores(), _MOST_PARSERS),
    )


def _parsed(piece: TextPiece) -> RatingPiece:
    """Parse a piece of text; refuse it if a field is empty or has another type."""
    return (_plainly(piece) if piece.layout.file.bytes >= LARGE else None) or _with_arrow(piece)


def _plainly(piece: TextPiece) -> RatingPiece | None:
    # Imported here because it loads Numba, which takes longer than to read a small file.
    from mfcli.data.formats.plain_numbers import plain_columns

    plain = plain_columns(piece)
    if plain is None:
        return None
    if piece.layout.implicit and not (plain.rating > 0).all():
        raise Refused
    return RatingPiece(to_arrow(plain.user), to_arrow(plain.item), plain.rating, plain.timestamp)


def _with_arrow(piece: TextPiece) -> RatingPiece:
    columns = piece.layout.columns
    parsed = piece.parse({column: _TYPES[role] for role, column in columns.items()})
    found = {role: parsed[column] for role, column in columns.items()}
    if any(column.null_count for column in found.values()):
        raise Refused  # an empty field; the strict reader names its line
    if empty_ids(found["user"].dictionary).any() or empty_ids(found["item"].dictionary).any():
        raise Refused
    for role in ("rating", "weight"):
        if role in found:
            _check_numbers(to_numpy(found[role]), role in positive_roles(piece.layout.implicit))
    if "timestamp" in found:
        found["timestamp"] = _times(found["timestamp"])
    return rating_piece(found)


def _check_numbers(values: Floats, positive: bool) -> None:
    # Arrow reads "nan" and "inf" as numbers.
    if not np.isfinite(values).all() or (positive and not (values > 0).all()):
        raise Refused


def _times(column: pa.Array) -> pa.Array:
    times = None if is_text(column.type) else time_column(column)
    if times is None or times.null_count:
        raise Refused
    return times


def _read_table(layout: Layout, on_fault: OnFault) -> Iterator[tuple[RatingPiece, int]]:
    return ((rating_piece(columns), at) for columns, at in table_columns(layout, on_fault))

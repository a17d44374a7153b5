"""Read files of ratings in any format, piece by piece, in memory or in buckets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict, Unpack

from mfcli.arguments import check_functions, path_of
from mfcli.data.arguments import check_reading, listed_paths
from mfcli.data.buckets import Buckets
from mfcli.data.faults import Rejects
from mfcli.data.feedback import EXPLICIT, IMPLICIT, Meaning, meaning_of
from mfcli.data.file_reader import FileReader
from mfcli.data.formats.columns import may_be_events
from mfcli.data.formats.layout import Layout
from mfcli.data.formats.parts import find_layouts
from mfcli.data.formats.tables import table_rows
from mfcli.data.merged_buckets import merged_buckets
from mfcli.data.overflow import Overflow
from mfcli.data.ratings import Ratings, Source
from mfcli.data.sources import HEAD, File, digest, open_sources
from mfcli.errors import DataError, Param, Text, warn
from mfcli.storage import check_memory
from mfcli.types import Progress

_BYTES = 40  # smallest memory per rating while it is read and split
_SHOWN = 5  # columns in a message


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
    check_functions(on_progress=on_progress)
    with _opened(
        names,
        columns=columns,
        like=like,
        decimal=decimal,
        encoding=encoding,
        duplicates=duplicates,
        feedback=feedback,
        on_bad_row=on_bad_row,
        rejected=rejected,
        events=events,
    ) as files:
        _check_memory(files.reader.layouts)
        return files.buckets(on_progress).ratings(0)


class How(TypedDict, total=False):
    """How files are read: the arguments of `read_ratings`."""

    columns: Mapping[str, str] | None
    like: Mapping[str, str] | None
    decimal: str
    encoding: str
    duplicates: str | None
    feedback: str | None
    on_bad_row: str
    rejected: Path | str | None
    events: bool


@contextmanager
def read_buckets(
    names: Path | str | Sequence[Path | str],
    *,
    on_progress: Progress = lambda done, total: None,
    on_merging: Progress = lambda done, total: None,
    **how: Unpack[How],
) -> Iterator[Buckets]:
    """Read ratings as `read_ratings` does, but keep what does not fit in memory on disk.

    Parameters
    ----------
    names, on_progress
        As in `read_ratings`.
    on_merging : callable, optional
        Called with the number of ratings whose duplicates are merged, and of all ratings, after
        those that are in memory at a time.
    **how
        columns, duplicates, on_bad_row, ...: as in `read_ratings`.

    Yields
    ------
    Buckets
        One if all ratings fit in memory. Temporary files exist within the block only.

    Raises
    ------
    LimitError
        If the ids do not fit in memory, or there is not enough space for temporary files.
    ArtifactError
        If temporary files cannot be written.
    DataError, UsageError, ConfigError
        As `read_ratings`.
    """
    check_functions(on_progress=on_progress, on_merging=on_merging)
    with ExitStack() as stack:
        with _opened(names, **how) as files:
            overflow = Overflow(stack, f"reading {files.reader.layouts[0].file}")
            buckets = files.buckets(on_progress, overflow, on_merging)
        yield buckets


@contextmanager
def _opened(
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
) -> Iterator[_Files]:
    """Open files and find out how to read them."""
    check_reading(
        columns, decimal=decimal, duplicates=duplicates, feedback=feedback, on_bad_row=on_bad_row
    )
    listed = listed_paths(names)
    rejected = None if rejected is None else path_of(rejected, "rejected")
    rejects = Rejects(rejected) if rejected or on_bad_row == "skip" else None
    with (
        rejects or nullcontext(),
        open_sources(listed, encoding) as files,
        ThreadPoolExecutor(1) as pool,
    ):
        sha256 = pool.submit(digest, files)  # hashing releases Python's lock
        found = find_rating_layouts(
            files, columns, like, decimal, events=events and feedback != EXPLICIT
        )
        meaning = meaning_of("rating" in found[0].columns, feedback, duplicates)
        layouts = [replace(layout, implicit=meaning.implicit) for layout in found]
        source = Source(
            name=", ".join(Path(name).name for name in listed) if listed != ["-"] else "<stdin>",
            files=len(files),
            bytes=sum(file.bytes for file in files),
            sha256="",
            format=str(layouts[0]),
            columns=layouts[0].roles,
            rows=0,
            duplicates=0,
            rejected={},
            settings=_settings(layouts[0], decimal, meaning, rejects),
        )
        yield _Files(FileReader(layouts, rejects), meaning, source, sha256)


@dataclass(frozen=True)
class _Files:
    """Open files, how they are read, and what is known of their source before."""

    reader: FileReader
    meaning: Meaning
    source: Source
    sha256: Future[str]

    def buckets(
        self,
        on_progress: Progress,
        overflow: Overflow | None = None,
        on_merging: Progress = lambda done, total: None,
    ) -> Buckets:
        """Read all ratings; without `overflow`, they stay in memory, in one bucket."""
        reader, rule = self.reader, self.meaning.duplicates
        collected = reader.read(on_progress, overflow)
        merged = merged_buckets(collected, rule, self.meaning.feedback, reader.place, on_merging)
        rejects = reader.rejects
        source = replace(
            self.source,
            sha256=self.sha256.result(),
            rows=collected.rows,
            duplicates=merged.duplicates,
            conflicts=merged.conflicts,
            rejected=dict(sorted(rejects.counts.items())) if rejects else {},
        )
        return merged.buckets.of_source(source)


def _settings(
    layout: Layout, decimal: str, meaning: Meaning, rejects: Rejects | None
) -> dict[str, str]:
    """Return the settings of the data stage that were used."""
    used = {"duplicates": meaning.duplicates, "on_bad_row": "stop" if rejects is None else "skip"}
    if layout.format != "text":
        return used
    return {"decimal": decimal, "encoding": layout.file.encoding, **used}


def find_rating_layouts(
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

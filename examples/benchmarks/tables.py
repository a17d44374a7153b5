"""The tables that show records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.records import Record

_WIDTH = 120


class Column(NamedTuple):
    """A column of a table.

    Attributes
    ----------
    name : str
        Of the value in a record; an empty cell where a record has none.
    heading : str
    form : str
        Format of the value.
    """

    name: str
    heading: str
    form: str = ""


_SECONDS = Column("seconds", "seconds", ".3g")
_VERSIONS = (
    Column("previous", "previous version, s", ".3g"),
    Column("faster", "times faster", ".2f"),
)
_PROCESSES = (
    Column("command", "mfcli"),
    _SECONDS,
    *_VERSIONS,
    Column("peak", "peak memory, GB", ".2f"),
    Column("previous_peak", "previous version, GB", ".2f"),
)

TABLES: dict[str, tuple[str, tuple[Column, ...]]] = {
    "machine": (
        "Peaks of this machine",
        (
            Column("measure", "float32"),
            Column("one", "1 thread", ".3g"),
            Column("two", "2 threads", ".3g"),
            Column("unit", ""),
        ),
    ),
    "descent": (
        "Epochs of gradient descent",
        (
            Column("k", "k", "d"),
            Column("momentum", "momentum", "g"),
            Column("threads", "threads", "d"),
            _SECONDS,
            *_VERSIONS,
            Column("share", "of the time with momentum", ".2f"),
            Column("cpu", "CPU per rating, ns", ".3g"),
            Column("validation", "validation, s", ".3g"),
        ),
    ),
    "libmf": (
        "Iterations of LIBMF with 2 threads, and ratios to epochs of mfcli",
        (
            Column("k", "k", "d"),
            Column("libmf_k", "k of LIBMF", "d"),
            Column("native", "mf-train, s", ".3g"),
            Column("native_times", "times mfcli", ".2f"),
            Column("native_times_plain", "times mfcli, momentum 0", ".2f"),
            Column("package", "PyPI package, s", ".3g"),
            Column("package_times", "times mfcli", ".2f"),
        ),
    ),
    "gibbs": (
        "Epochs of Gibbs sampling with 2 threads and the settings of mfcli init",
        (
            Column("k", "k", "d"),
            _SECONDS,
            *_VERSIONS,
            Column("per_k", "seconds per k", ".3g"),
            Column("gram", "Gram matrices alone, s", ".3g"),
            Column("gram_share", "of the epoch", ".0%"),
            Column("validation", "validation, s", ".3g"),
        ),
    ),
    "als": (
        "Iterations of alternating least squares with unrated pairs and 2 threads",
        (
            Column("k", "k", "d"),
            _SECONDS,
            *_VERSIONS,
            Column("training", "15 iterations, s", ".3g"),
            Column("implicit", "implicit, s", ".3g"),
            Column("times", "times mfcli", ".2f"),
        ),
    ),
    "roofline": (
        "Work per rating, and seconds of an epoch at the peaks of 2 threads (roofline)",
        (
            Column("work", ""),
            Column("k", "k", "d"),
            Column("operations", "operations", ",.0f"),
            Column("moved", "bytes", ",.0f"),
            Column("arithmetic", "arithmetic, s", ".3g"),
            Column("cache", "cache, s", ".3g"),
            Column("memory", "memory, s", ".3g"),
            Column("seconds", "measured, s", ".3g"),
            Column("distance", "times the bound", ".2f"),
        ),
    ),
    "commands": (
        "Commands, as whole processes",
        _PROCESSES,
    ),
    "init": (
        "Training with the settings of mfcli init, as whole processes",
        _PROCESSES,
    ),
    "keras": (
        "Steps of Keras, scaled to an epoch",
        (
            Column("k", "k", "d"),
            Column("steps", "steps", ".0f"),
            Column("step", "a step, ms", ".3g"),
            Column("seconds", "epoch, s", ".3g"),
            Column("times", "times mfcli's epoch", ",.0f"),
        ),
    ),
    "peers": (
        "Iterations of other programs with 2 threads",
        (
            Column("program", ""),
            Column("k", "k", "d"),
            _SECONDS,
            Column("times_gibbs", "times mfcli's Gibbs epoch", ".2f"),
            Column("times_descent", "times mfcli's descent epoch", ".1f"),
            Column("note", ""),
        ),
    ),
}


def show(part: str, records: Sequence[Record]) -> None:
    """Print the table of a part."""
    title, columns = TABLES[part][0], _used(part, records)
    if not records:
        print(f"\n{title}: not measured")
        return
    print(f"\n{title}")
    table = Table()
    for column in columns:
        # Text has no format.
        table.add_column(column.heading, justify="right" if column.form else "left")
    for cells in _cells(columns, records):
        table.add_row(*cells)
    Console(width=_WIDTH).print(table)


def markdown(part: str, records: Sequence[Record]) -> str:
    """Return the table of a part for a document; empty without records."""
    if not records:
        return ""
    columns = _used(part, records)
    rows = [[one.heading for one in columns], ["---"] * len(columns), *_cells(columns, records)]
    lines = [f"| {' | '.join(cells)} |" for cells in rows]
    return "\n".join([f"{TABLES[part][0]}:", "", *lines, "", ""])


def _used(part: str, records: Sequence[Record]) -> list[Column]:
    """Return the columns that have values."""
    columns = TABLES[part][1]
    return [one for one in columns if any(record.get(one.name) is not None for record in records)]


def _cells(columns: Sequence[Column], records: Sequence[Record]) -> list[list[str]]:
    return [[_cell(record.get(one.name), one.form) for one in columns] for record in records]


def _cell(value: object, form: str) -> str:
    return "" if value is None else format(value, form)

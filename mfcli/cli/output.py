"""What the commands print: tables and results on stdout, progress on stderr."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any
from unicodedata import category

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from mfcli.storage import json_text


def show(result: dict[str, Any], as_json: bool, table: Callable[[], None]) -> None:
    """Print a result as JSON, or as its table."""
    if as_json:
        print(json_text(result), end="")
    else:
        table()


def note(text: str, quiet: bool) -> None:
    if not quiet:
        print(f"note: {printable(text)}", file=sys.stderr)


Advance = Callable[[int, int], None]
"""Told how much is done, and of how much."""


@contextmanager
def bar(what: str, quiet: bool, *columns: ProgressColumn) -> Iterator[tuple[Console, Advance]]:
    """Show a bar if stderr is a terminal; yield where to print above it, and what moves it."""
    console = Console(stderr=True, highlight=False)
    if quiet or not sys.stderr.isatty():
        yield console, lambda done, total: None
        return
    name = TextColumn("{task.description}", markup=False)
    with Progress(name, BarColumn(), *columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield console, lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def byte_bar(what: str, quiet: bool) -> Iterator[Advance]:
    """Show a bar in bytes while something is read; yield what moves it."""
    with bar(what, quiet, DownloadColumn(), TimeRemainingColumn()) as (_, advance):
        yield advance


def duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.3g} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def count(things: Any, noun: str) -> str:
    return f"{len(things):,} {noun}{'s' if len(things) != 1 else ''}"


def printable(text: str) -> str:
    """Make a text from outside harmless: what would steer a terminal is shown as an escape."""
    return "".join(c if c.isprintable() or category(c) == "Zs" else repr(c)[1:-1] for c in text)


def cell(text: Any) -> str:
    """Make a text from outside harmless within a table, where brackets are markup too."""
    return escape(printable(str(text)))


def scale(low: float, high: float, step: float | None) -> str:
    return f"{low:g} to {high:g}" + (f", step {step:g}" if step else "")


def size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"


_LEVELS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int) -> str:
    """Draw values as columns from the least to the greatest; many share one by their mean."""
    columns = min(len(values), width)
    ends = [len(values) * column // columns for column in range(columns + 1)]
    means = [math.fsum(values[a:b]) / (b - a) for a, b in pairwise(ends)]
    least, range_ = min(means), (max(means) - min(means)) or 1
    return "".join(_LEVELS[round((mean - least) / range_ * 7)] for mean in means)


def table(title: str, *columns: str) -> Table:
    table = Table(title=cell(title), title_justify="left", header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(cell(column), justify="right" if number else "left")
    return table


def facts(title: str, facts: Mapping[str, str]) -> Table:
    """Make a table of names and values, neither of them markup."""
    made = table(title, "", "value")
    for name, value in facts.items():
        made.add_row(cell(name), cell(value))
    return made


def print_table(table: Table) -> None:
    Console(highlight=False, width=None if sys.stdout.isatty() else 100).print(table)

"""What the commands print: tables and results on stdout, progress on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

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

from mfcli.files import json_text


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
    """Show control characters as escapes, so that text from files cannot steer the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def cell(text: Any) -> str:
    """Make text from outside fit for a table: neither markup nor control characters."""
    return escape(printable(str(text)))


def table(title: str, *columns: str) -> Table:
    table = Table(title=cell(title), title_justify="left", header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(cell(column), justify="right" if number else "left")
    return table


def print_table(table: Table) -> None:
    Console(highlight=False, width=None if sys.stdout.isatty() else 100).print(table)

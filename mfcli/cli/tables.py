"""Tables on stdout."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mfcli.cli.formatting import printable

_PIPE_WIDTH = 100  # columns if stdout is not a terminal


def table(title: str, *columns: str) -> Table:
    """Make a table; all columns but the first are right-aligned."""
    made = Table(title=cell(title), header_style="bold")
    for number, column in enumerate(columns):
        made.add_column(cell(column), justify="right" if number else "left")
    return made


def value_table(title: str, values: Mapping[str, str]) -> Table:
    """Make a table of names and values."""
    made = table(title, "", "value")
    for name, value in values.items():
        made.add_row(cell(name), cell(value))
    return made


def cell(text: Any) -> str:
    """Escape control characters, and brackets, which would be markup."""
    return escape(printable(str(text)))


def print_table(table: Table) -> None:
    """Print a table; its title and caption may be wider than the table."""
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    console = Console(highlight=False, width=width)
    title, caption, table.title, table.caption = table.title, table.caption, None, None
    if title:
        console.print(title, style="table.title")
    console.print(table)
    if caption:
        console.print(caption, style="table.caption")

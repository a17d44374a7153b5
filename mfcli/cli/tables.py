"""Tables and paragraphs on standard output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

from mfcli.cli.formatting import printable
from mfcli.cli.streams import UNLIMITED, console, width
from mfcli.storage import with_addresses

_LONG = 12  # columns; only longer words are folded
_LEAST = 6  # columns of a drawing


class Table(RichTable):
    """A table whose texts are shown as they are; characters that control a terminal are escaped."""

    def add_column(self, header: object = "", *args: Any, **style: Any) -> None:
        super().add_column(_cell(header), *args, **({"overflow": "fold"} | style))

    def add_row(self, *cells: object, **style: Any) -> None:
        super().add_row(*map(_cell, cells), **style)


def table(title: str, *columns: str) -> Table:
    """Make a table; all columns but the first are right-aligned."""
    made = Table(title=title, header_style="bold")
    for number, column in enumerate(columns):
        made.add_column(column, justify="right" if number else "left")
    return made


def value_table(title: str, values: Mapping[str, str | Drawing]) -> Table:
    """Make a table of names and values."""
    made = table(title, "", "value")
    for name, value in values.items():
        made.add_row(name, value)
    return made


def print_table(table: Table) -> None:
    """Print a table; its title and caption may be wider than the table.

    Text that is too long for the screen is wrapped, and long words such as ids are folded. Short
    words and numbers are not, even if the table becomes wider than the screen (see
    `streams.width`). Blanks around cells are removed where that helps.
    """
    screen = console(width=width())
    for column in table.columns:
        # The minimum of a text is its longest word. Rich would shrink a column below it.
        words = (screen.measure(cell).minimum for cell in (column.header, *column.cells))
        column.min_width = min(max(words), _LONG)
    _make_fit(table, screen.width)
    # Rich wraps titles to the width of the table, so they are printed apart.
    title, caption, table.title, table.caption = table.title, table.caption, None, None
    if title:
        screen.print(_cell(title), style="table.title")
    screen.print(table, crop=False)  # a terminal wraps what is too wide; nothing is lost
    if caption:
        for line in str(caption).split("\n"):
            screen.print(_cell(line), style="table.caption")


def print_paragraph(text: str) -> None:
    """Print a text that is wrapped between words to the width of the screen."""
    console(width=width()).print(_cell(text))


def _make_fit(table: Table, columns: int) -> None:
    """Remove the blanks around cells if nothing is wrapped then, or if the table is too wide."""
    blanks, lines = 2 * len(table.columns), len(table.columns) + 1
    least = sum(column.min_width or 0 for column in table.columns) + lines
    if least + blanks > columns or _widest(table) - blanks <= columns < _widest(table):
        table.padding = 0
    if least <= columns < least + blanks:
        for column in table.columns:
            column.width = column.min_width  # Rich would leave some of them wider


def fits(table: Table) -> bool:
    """Return whether a table can be printed without wrapping its cells."""
    return _widest(table) <= width()


def _widest(table: Table) -> int:
    """Return the columns of a table whose cells are not wrapped."""
    return console(width=UNLIMITED).measure(table).maximum


class Drawing:
    """A text that is drawn to fit into its cell.

    Parameters
    ----------
    draw : callable
        Takes the columns that there are and whether only ASCII characters can be printed.
    width : int
        Columns, at most.
    """

    def __init__(self, draw: Callable[[int, bool], str], width: int) -> None:
        self._draw, self._width = draw, width

    def __rich_console__(self, screen: Console, options: ConsoleOptions) -> RenderResult:
        width = min(self._width, options.max_width)
        yield Text(self._draw(width, options.ascii_only), no_wrap=True, justify=options.justify)

    def __rich_measure__(self, screen: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(min(_LEAST, self._width), self._width)


def _cell(content: object) -> Text | Drawing:
    return (
        content
        if isinstance(content, Text | Drawing)
        else Text(printable(with_addresses(str(content))))
    )

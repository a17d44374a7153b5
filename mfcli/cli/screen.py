"""What commands print: results on stdout, notes and progress on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress as ProgressBar,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from mfcli import storage
from mfcli.cli.formatting import printable
from mfcli.cli.options import FILES, FieldsGroup
from mfcli.cli.streams import console as make_console, data_output, print_message

if TYPE_CHECKING:
    from mfcli.types import Progress


@dataclass(frozen=True)
class Screen:
    """Print results, notes and progress, as the options ask."""

    json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON.", rich_help_panel=FILES)
    ] = False
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="Hide progress and notes.", rich_help_panel=FILES),
    ] = False

    def show(self, result: dict[str, Any], table: Callable[[], None]) -> None:
        """Print a result as JSON, or call the function that prints it as a table."""
        if self.json:
            data_output().write(storage.json_text(result).encode())
        else:
            table()

    def note(self, text: str) -> None:
        if not self.quiet:
            print_note(text)

    @contextmanager
    def bar(
        self, what: str, *columns: ProgressColumn, at_once: bool = True
    ) -> Iterator[tuple[Console, Progress]]:
        """Show a progress bar if stderr is a terminal.

        Parameters
        ----------
        what : str
        *columns : ProgressColumn
        at_once : bool
            Show the bar before it moves. Nothing can be printed to stdout while it is shown.

        Yields
        ------
        console : Console
            Prints above the bar.
        advance : callable
            Moves the bar.
        """
        # On stderr, so that results on stdout can be piped.
        console = make_console(stderr=True)
        if self.quiet or not sys.stderr.isatty() or console.is_dumb_terminal:
            yield console, lambda done, total: None  # logs and pipes get lines, no bar
            return
        name = TextColumn("{task.description}", markup=False)
        bar = ProgressBar(name, BarColumn(), *columns, console=console, transient=True)
        task = bar.add_task(printable(what), total=None)

        def advance(done: int, total: int) -> None:
            bar.start()  # does nothing if it is shown
            bar.update(task, completed=done, total=total)

        try:
            if at_once:
                bar.start()
            yield console, advance
        finally:
            bar.stop()  # shows the cursor again, also after Ctrl-C

    @contextmanager
    def byte_bar(self, what: str) -> Iterator[Progress]:
        """Show a progress bar that counts bytes; yield what moves it."""
        with self.bar(what, DownloadColumn(), TimeRemainingColumn()) as (_, advance):
            yield advance


def print_note(text: str) -> None:
    """Print a note on stderr, even if `--quiet` is given."""
    print_message("note", text)


ScreenOptions = Annotated[Screen, FieldsGroup(Screen)]
JsonOption = Annotated[Screen, FieldsGroup(Screen, "json")]
"""For commands that show no progress and no notes."""

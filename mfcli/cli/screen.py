"""What commands print: results on stdout, notes and progress on stderr."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mfcli import storage
from mfcli.cli.options import FILES, FieldsGroup
from mfcli.cli.progress import Display, Lines, Unit, byte_count, percent
from mfcli.cli.streams import console as make_console, data_output, print_message

if TYPE_CHECKING:
    from mfcli.types import Progress, StageProgress


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
            data_output().write(storage.with_addresses(storage.json_text(result)).encode())
        else:
            table()

    def note(self, text: str) -> None:
        if not self.quiet:
            print_note(text)

    @contextmanager
    def progress(self) -> Iterator[Display]:
        """Yield what shows progress: a live bar if stderr is a terminal, otherwise a few lines.

        Nothing can be printed to stdout while a bar is shown.
        """
        shown = self._display()
        try:
            yield shown
        finally:
            shown.close()

    @contextmanager
    def bar(self, what: str, unit: Unit = percent) -> Iterator[Progress]:
        """Show the progress of one work, at once; yield what moves the bar."""
        with self.progress() as shown:
            work = shown.work(what, unit)
            work.update(0, 0)
            yield work.update

    @contextmanager
    def byte_bar(self, what: str) -> Iterator[Progress]:
        """Show the progress of work on bytes; yield what moves the bar."""
        with self.bar(what, byte_count) as advance:
            yield advance

    @contextmanager
    def stages(self, prefix: str = "") -> Iterator[StageProgress]:
        """Show the progress of work in stages, each with its own bar; yield what moves the bar."""
        with self.progress() as shown:
            work = functools.cache(lambda stage: shown.work(prefix + stage))
            yield lambda stage, done, total: work(stage).update(done, total)

    def _display(self) -> Display:
        if self.quiet:
            return Display()
        # On stderr, so that results on stdout can be piped.
        console = make_console(stderr=True)
        if not sys.stderr.isatty() or console.is_dumb_terminal:
            return Lines(console)
        from mfcli.cli.live_bar import LiveBar  # not loaded by help

        return LiveBar(console)


def print_note(text: str) -> None:
    """Print a note on stderr, even if `--quiet` is given."""
    print_message("note", text)


ScreenOptions = Annotated[Screen, FieldsGroup(Screen)]
JsonOption = Annotated[Screen, FieldsGroup(Screen, "json")]
"""For commands that show no progress and no notes."""

"""The option `--dry-run`: what a command would do, and whether it fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mfcli import storage
from mfcli.cli.formatting import duration
from mfcli.cli.screen import Screen
from mfcli.cli.streams import print_line
from mfcli.cli.tables import Table, print_paragraph, print_table, table as make_table, value_table
from mfcli.errors import UsageError

if TYPE_CHECKING:
    from mfcli.checks import Forecast, Needed

DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Say what would be read and written, and about how much memory, space and time it"
        " takes; write nothing.",
        rich_help_panel="Run",
    ),
]


def refuse_dry_run(values: Mapping[str, Any], rule: str, remedy: str) -> None:
    """Refuse `--dry-run` where nothing can be said without starting the work.

    Raises
    ------
    UsageError
    """
    if values.get("dry_run"):
        raise UsageError(f"--dry-run {rule}", remedy=remedy)


def show_forecast(forecast: Forecast, settings: Path | None, screen: Screen) -> None:
    """Print what a command would do; `settings` is the settings file that it reads."""
    if settings:
        from mfcli.checks import Input  # not loaded by help

        read = Input(str(settings), settings.stat().st_size, "settings")
        forecast = replace(forecast, reads=[read, *forecast.reads])
    screen.show(forecast.as_dict() | {"fits": True}, lambda: print_forecast(forecast))


def print_forecast(forecast: Forecast) -> None:
    """Print tables of what would be read and written, and of what is needed."""
    for table in (_reads(forecast), _writes(forecast), _needs(forecast)):
        print_table(table)
    print_table(value_table("How", forecast.facts))
    for line in forecast.assumed:
        print_paragraph(line)
    print_line("it fits; nothing was written")


def _reads(forecast: Forecast) -> Table:
    table = make_table("Reads", "", "size")
    table.add_column("contents")
    for one in forecast.reads:
        table.add_row(one.path, storage.bytes_text(one.bytes), one.contents)
    return table


def _writes(forecast: Forecast) -> Table:
    table = make_table("Writes", "", "about", "replaces")
    for one in forecast.writes:
        older = "-" if one.replaces is None else storage.bytes_text(one.replaces)
        table.add_row(one.path, _about(one.bytes), older)
    return table


def _needs(forecast: Forecast) -> Table:
    table = make_table("Needs", "", "about", "free")
    table.add_column("where")
    rows = {
        "memory": forecast.memory,
        "temporary space": forecast.temporary,
        "space for results": forecast.space,
    }
    for name, needed in rows.items():
        if needed:
            table.add_row(name, *_amounts(needed), needed.place or "")
    table.add_row("time", duration(_rounded(forecast.seconds)), "", "")
    return table


def _amounts(needed: Needed) -> tuple[str, str]:
    free = "unknown" if needed.free is None else storage.bytes_text(needed.free)
    return _about(needed.need), free


def _about(count: float) -> str:
    """Format an estimate of bytes with two digits."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= 0.995 * size:
            return f"{_rounded(count / size):g} {unit}"
    return f"{count:.0f} bytes"


def _rounded(estimate: float) -> float:
    return float(f"{estimate:.2g}")

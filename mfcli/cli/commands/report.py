"""`mfcli report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mfcli import reports, storage
from mfcli.cli.formatting import count, size
from mfcli.cli.item_lists import TITLES, Listing
from mfcli.cli.options import FILES, FieldsGroup, Given, SettingsGroup
from mfcli.cli.resource_options import within_limits
from mfcli.cli.screen import ScreenOptions
from mfcli.cli.setting_options import Settings
from mfcli.cli.shared_options import refuse
from mfcli.cli.streams import print_line


@within_limits()
def report(
    *,
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RUN",
            help="Run folders; several are compared with the first one.",
            show_default="the current folder",
        ),
    ] = None,
    user: Annotated[
        list[str] | None,
        typer.Option(
            "--user",
            metavar="ID",
            help="User for whom recommendations are shown; repeatable.",
            show_default="one each of low, median and high activity",
            rich_help_panel="Examples",
        ),
    ] = None,
    listing: Annotated[Listing, FieldsGroup(Listing, "titles", *TITLES)],
    settings: Annotated[Settings, SettingsGroup("encoding", panel=FILES)],
    given: Given,
    screen: ScreenOptions,
    split: Annotated[
        Path | None,
        typer.Option(
            "--split",
            metavar="DIR",
            help="Split folder.",
            show_default="the folder split beside a run, or in the current folder",
            rich_help_panel=FILES,
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option("--out", metavar="FILE", help="HTML file to write.", rich_help_panel=FILES),
    ] = Path("report.html"),
) -> None:
    """Write one HTML file about the data, the training and the quality of runs.

    It needs no other file and no network. What is missing, such as metrics, is named in it with the
    command that makes it.
    """
    if not listing.titles:
        refuse(given, ["encoding", *TITLES], "without --titles", "omit it")
    storage.check_writable_file(out)  # before the ratings are read
    with screen.stages() as on_progress:
        made = reports.report(
            runs or [Path()],
            split=split,
            titles=listing.titles,
            title_columns=listing.title_columns,
            encoding=settings.config.encoding,
            users=user or (),
            on_progress=on_progress,
        )
    made.write(out)
    result = {"report": str(out), **made.as_dict()}
    lines = f"{out}: {count(len(made.runs), 'run')}, {size(result['bytes'])}"
    screen.show(result, lambda: print_line(lines))

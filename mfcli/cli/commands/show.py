"""`mfcli show`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mfcli import show as showing
from mfcli.cli.screen import JsonOption
from mfcli.cli.spelling import spelled


def show(
    screen: JsonOption,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATH",
            help="Splits, models, run folders, history.json, metrics.json, model.keras or"
            " mfcli.toml.",
            show_default="the current folder",
        ),
    ] = None,
) -> None:
    """Show what files and folders contain, and the versions in use (for bug reports)."""
    # Imported here, so that help does not load the tables.
    from mfcli.cli.artifact_tables import print_artifacts

    # A dict keeps the order, and lists a file once if it is in several of the folders.
    found = dict.fromkeys(one for path in paths or [Path()] for one in showing.find(path))
    artifacts = [showing.facts_of(artifact, spelled) for artifact in found]
    versions = showing.versions()
    result = {"versions": versions, "artifacts": artifacts}
    screen.show(result, lambda: print_artifacts(versions, artifacts))
    if any("error" in artifact for artifact in artifacts):
        raise typer.Exit(1)  # after everything is shown, so that scripts notice damage

"""`mfcli show`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mfcli import config as configs, show as showing
from mfcli.cli.options import FILES
from mfcli.cli.screen import JsonOption, Screen
from mfcli.cli.setting_options import Settings, read_options, setting_options
from mfcli.cli.spelling import spelled
from mfcli.config import CONFIG_FILE, SETTINGS, STAGES
from mfcli.errors import UsageError


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
    settings: Annotated[
        bool,
        typer.Option(
            "--settings",
            help="Show all settings instead: their values, and where each comes from.",
            rich_help_panel=FILES,
        ),
    ] = False,
    file: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="Settings file (TOML) for --settings.",
            show_default=f"{CONFIG_FILE} if it exists",
            rich_help_panel=FILES,
        ),
    ] = None,
) -> None:
    """Show what files and folders contain, and the versions in use (for bug reports).

    Or with --settings, what other commands read from the settings file and from environment
    variables such as MFCLI_K=20, which override it. An empty variable is not set. Flags are true
    or false (also yes, no, on, off, 1, 0), and "none" unsets a setting.
    """
    if settings:
        _show_settings(paths, file, screen)
        return
    if file:
        raise UsageError(
            "--config is not used without --settings", remedy="add it, or name the file alone"
        )
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


def _show_settings(paths: list[Path] | None, file: Path | None, screen: Screen) -> None:
    from mfcli.cli.settings_tables import print_settings  # not loaded by help

    if paths:
        raise UsageError("--settings takes no PATH", remedy="name a settings file with --config")
    read = read_options(setting_options(STAGES), dict.fromkeys(SETTINGS), file)
    described = showing.described_settings(read.config, _origins(read))
    result = {"file": str(read.source) if read.source else None, "settings": described}
    screen.show(result, lambda: print_settings(read.source, described))


def _origins(read: Settings) -> dict[str, str]:
    """Return where the settings that are given come from, by name."""
    return {
        name: configs.variable_of(name) if name in read.environment else str(read.source)
        for name in read.values
    }

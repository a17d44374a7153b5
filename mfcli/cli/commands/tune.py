"""`mfcli tune`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import MofNCompleteColumn, TextColumn

from mfcli import config as configs, plots, search as searching, splits, storage
from mfcli.cli.options import FILES, Given, SettingsGroup
from mfcli.cli.screen import Screen, ScreenOptions, warn
from mfcli.cli.search_lines import print_search, trial_lines
from mfcli.cli.setting_options import Settings
from mfcli.cli.shared_options import Force, SettingsFile, SplitFolder, Threads, refuse
from mfcli.cli.spelling import spelled
from mfcli.errors import LimitError, TrainingError

if TYPE_CHECKING:
    from mfcli.config import Config
    from mfcli.search import Candidate, Search
    from mfcli.splits import Split

_PANEL = "Search"
_VALID = {
    "help": "Fraction of the training ratings to validate on, if the split has no validation part.",
    "default": "0.1",
}


def tune(
    *,
    trials: Annotated[
        int,
        typer.Option(
            min=1,
            help="Number of trials, including those in --storage.",
            rich_help_panel=_PANEL,
        ),
    ] = 100,
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="FLOAT",
            help="Stop after this time.",
            show_default="no limit",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    space: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Values and ranges to choose from (TOML).",
            show_default="sgd with penalties",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(
            "--storage",
            metavar="FILE",
            help="SQLite file that keeps the search, so that it can be resumed.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    settings: Annotated[
        Settings, SettingsGroup("valid", "seed", panel=_PANEL, changes={"valid": _VALID})
    ],
    given: Given,
    screen: ScreenOptions,
    threads: Threads = None,
    split: SplitFolder = Path("split"),
    out: SettingsFile = configs.CONFIG_FILE,
    force: Force = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Plot the search to a PNG, SVG or PDF file.",
            rich_help_panel=FILES,
        ),
    ] = None,
) -> None:
    """Search for the settings with the lowest validation error and write them to a file.

    The test ratings are not used.
    """
    configs.check_new(out, force)
    if plot:
        plots.check_suffix(plot)
        storage.check_writable_file(plot)
    parts = _with_validation(split, settings.config, given, screen)
    options = searching.space_for(parts, space)
    search = searching.Search(parts, settings.config, options, store, threads or storage.cores())
    advised = _try_recommended(parts, settings.config, threads, screen)
    rival = None if space else advised  # a space limits the search to what it contains
    limit = math.inf if minutes is None else 60 * minutes
    with trial_lines(search, trials, screen) as on_trial:
        try:
            search.run(trials, limit, on_trial)
        except BaseException:
            if search.best:
                _write(search, rival, out, plot)
                warn(f"stopped; {out} has the best of {len(search.attempts)} trials")
            raise
    result = _write(search, rival, out, plot)
    result["recommended_rmse"] = advised.rmse if advised else None
    screen.show(result, lambda: print_search(search, result, rival))
    if search.failures:
        failures = f"{len(search.failures)} trials failed"
        screen.note(f"{failures}, the first one because: {search.failures[0]}")
    if space and advised and advised.rmse < result["rmse"]:
        screen.note("the settings of mfcli init are better; to use them: mfcli init --force")


def _with_validation(split: Path, config: Config, given: Given, screen: Screen) -> Split:
    whole = splits.read_split(split)
    if whole.valid is not None:
        refuse(given, ("valid",), f"with {split}, which has validation ratings", "omit it")
    parts = searching.with_validation(whole, config)
    if whole.valid is None:
        screen.note(
            f"validating on {len(parts.test):,} of the training ratings, because the split has no"
            " validation ratings"
        )
    return parts


def _try_recommended(
    parts: Split, config: Config, threads: int | None, screen: Screen
) -> Candidate | None:
    """Train with the settings of `mfcli init`, unless there are too many ratings or it fails."""
    if len(parts.train) >= searching.LARGE:
        return None
    epochs = searching.recommended_config(parts, config).epochs
    columns = (MofNCompleteColumn(), TextColumn("epochs with the settings of mfcli init"))
    try:
        with screen.bar("trying", *columns) as (_, advance):
            advance(0, epochs)
            candidate = searching.recommended_candidate(
                parts,
                config,
                threads=threads,
                on_epoch=lambda epoch: advance(epoch.epoch, epochs),
            )
    except (LimitError, TrainingError) as error:
        screen.note(f"cannot train with the settings of mfcli init: {error.phrase(spelled)}")
        return None
    screen.note(f"validation RMSE with the settings of mfcli init: {candidate.rmse:.4f}")
    return candidate


def _write(search: Search, rival: Candidate | None, out: Path, plot: Path | None) -> dict[str, Any]:
    """Write the best settings and the plot; return the result."""
    found = searching.found_candidate(search)
    winner = searching.better_candidate(found, rival)
    configs.write_settings(out, configs.settings_text(f"{winner.title}.", winner.settings))
    result = searching.summary(search, winner)
    if plot:
        plots.plot_search(search.attempts, result["importances"], plot, title=found.title)
    return result | {"file": str(out), "picture": str(plot) if plot else None}

"""`mfcli tune`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import MofNCompleteColumn, TextColumn

from mfcli.cli import output
from mfcli.cli.options import (
    AsJson,
    ConfigFile,
    Force,
    Quiet,
    Seed,
    SettingsOut,
    SplitFolder,
    Threads,
    Valid,
    refuse,
    settings_of,
)
from mfcli.config import CONFIG_FILE, Config

if TYPE_CHECKING:
    from mfcli.search import Attempt, Candidate, Search
    from mfcli.splits import Split

_CUT = "validating on {:,} ratings cut from the training ratings; the split has none of its own"
_INIT = "validation RMSE with the settings of mfcli init: {:.4f}"
_BETTER = "the settings of mfcli init do better; to have them: mfcli init --force"
_FAILED = "{} of the trials could not be trained: {}"


def tune(
    ctx: typer.Context,
    trials: Annotated[int, typer.Option(min=1, help="Trials, those in --storage included.")] = 100,
    minutes: Annotated[
        float | None,
        typer.Option(min=0, help="Time after which to stop.", show_default="no limit"),
    ] = None,
    space: Annotated[
        Path | None,
        typer.Option(
            "--space", help="What to choose from, in TOML.", show_default="SGD with penalties"
        ),
    ] = None,
    storage: Annotated[
        Path | None,
        typer.Option("--storage", help="SQLite file to keep the search in, and to go on from."),
    ] = None,
    split: SplitFolder = Path("split"),
    valid: Valid = Config.valid,
    out: SettingsOut = CONFIG_FILE,
    force: Force = False,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Picture of the search, PNG, SVG or PDF.")
    ] = None,
    threads: Threads = None,
    seed: Seed = Config.seed,
    config: ConfigFile = None,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Search for the settings with the least validation error."""
    from mfcli.config import check_new
    from mfcli.search import Search, space_for, with_validation
    from mfcli.splits import read_split
    from mfcli.storage import cores

    settings = settings_of(ctx)
    check_new(out, force)
    if plot:
        from mfcli.plots import check_suffix
        from mfcli.storage import check_writable_file

        check_suffix(plot)
        check_writable_file(plot)
    whole = read_split(split)
    if whole.valid is not None:
        refuse(ctx, ("valid",), "a split that has validation ratings of its own")
    parts = with_validation(whole, settings)
    if whole.valid is None:
        output.note(_CUT.format(len(parts.test)), quiet)
    search = Search(parts, settings, space_for(parts, space), storage, threads or cores())
    advised = _advised(parts, settings, threads, quiet)
    rival = None if space else advised  # a space is to be chosen from, whatever else there is
    with _trial_lines(search, trials, quiet) as on_trial:
        try:
            search.run(trials, 60 * minutes if minutes is not None else math.inf, on_trial)
        except BaseException:
            if search.best:
                _write(search, rival, out, plot)
                output.note(f"stopped; {out} has the best of {len(search.attempts)} trials", False)
            raise
    result = _write(search, rival, out, plot)
    result["recommended_rmse"] = advised.rmse if advised else None
    output.show(result, json, lambda: _tables(search, result, rival, out, plot))
    if search.failures:
        output.note(_FAILED.format(len(search.failures), search.failures[0]), quiet)
    if space and advised and advised.rmse < result["rmse"]:
        output.note(_BETTER, quiet)


def _advised(parts: Split, settings: Config, threads: int | None, quiet: bool) -> Candidate | None:
    """Train with the settings of `mfcli init`, unless that takes long or fails."""
    from mfcli.errors import LimitError, TrainingError
    from mfcli.search import LARGE, recommended_candidate, recommended_config

    if len(parts.train) >= LARGE:
        return None
    epochs = recommended_config(parts, settings).epochs
    columns = (MofNCompleteColumn(), TextColumn("epochs with the settings of mfcli init"))
    try:
        with output.bar("trying", quiet, *columns) as (_, advance):
            advance(0, epochs)
            candidate = recommended_candidate(
                parts,
                settings,
                threads=threads,
                on_epoch=lambda epoch: advance(epoch.epoch, epochs),
            )
    except (LimitError, TrainingError) as error:
        output.note(f"cannot train with the settings of mfcli init: {error}", quiet)
        return None
    output.note(_INIT.format(candidate.rmse), quiet)
    return candidate


@contextmanager
def _trial_lines(search: Search, trials: int, quiet: bool) -> Iterator[Any]:
    """Print a line for each trial that is better than all before, above a bar."""
    columns = (MofNCompleteColumn(), TextColumn("trials"))
    with output.bar("searching", quiet, *columns) as (console, advance):

        def on_trial(attempt: Attempt) -> None:
            if attempt is search.best and not quiet:
                console.print(_line(attempt), soft_wrap=True)
            advance(len(search.attempts), trials)

        advance(len(search.attempts), trials)
        yield on_trial


def _line(attempt: Attempt) -> str:
    settings = ", ".join(f"{name} {_short(value)}" for name, value in attempt.settings.items())
    return f"trial {attempt.number}: validation RMSE {attempt.rmse:.4f} ({settings})"


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _write(search: Search, rival: Candidate | None, out: Path, plot: Path | None) -> dict[str, Any]:
    """Write the best settings and the picture, and return the result."""
    from mfcli.config import settings_text, write_settings
    from mfcli.search import better_candidate, found_candidate, summary

    found = found_candidate(search)
    winner = better_candidate(found, rival)
    write_settings(out, settings_text(f"{winner.title}.", winner.settings))
    result = summary(search, winner)
    if plot:
        from mfcli.plots import plot_search

        plot_search(search.attempts, result["importances"], plot, title=found.title)
    return result | {"file": str(out), "picture": str(plot) if plot else None}


def _tables(
    search: Search, result: dict[str, Any], rival: Candidate | None, out: Path, plot: Path | None
) -> None:
    from mfcli.config import training_command
    from mfcli.search import importance_of, settings_from

    best = search.best
    assert best  # a search without one has raised
    title = (
        f"Trial {best.number}, the best of {result['trials']} ({result['pruned']} pruned):"
        f" validation RMSE {best.rmse:.4f}"
    )
    rows = output.table(title, "setting", "value", "importance")
    for name, value in settings_from(best.settings, search.base).items():
        share = importance_of(name, result["importances"])
        rows.add_row(name, _short(value), "" if share is None else f"{share:.0%}")
    output.print_table(rows)
    if rival and rival.rmse < best.rmse:
        print(f"The settings of mfcli init do better, validation RMSE {rival.rmse:.4f}:")
        print(", ".join(f"{name} {_short(value)}" for name, value in rival.values.items()))
    if plot:
        print(f"{plot}: the search")
    print(f"{out}: next: {training_command(out)}")

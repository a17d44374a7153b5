"""`mfcli tune`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import MofNCompleteColumn, TextColumn

from mfcli import output
from mfcli.commands.options import (
    AsJson,
    ConfigFile,
    Force,
    Quiet,
    Seed,
    SettingsOut,
    SplitFolder,
    Threads,
    Valid,
    settings_of,
)
from mfcli.config import CONFIG_FILE, Config

if TYPE_CHECKING:
    from mfcli.search_space import Attempt
    from mfcli.splitting import Split
    from mfcli.tuning import Search

_CUT = "validating on {:,} ratings cut from the training ratings; the split has none of its own"

_RECOMMENDED = "validation RMSE with the settings of mfcli init: {:.4f}"
_BETTER = "the settings of mfcli init do better; to have them: mfcli init --force"


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
    from mfcli.settings_file import check_new
    from mfcli.split_folder import read_split
    from mfcli.tuning import with_validation

    settings = settings_of(ctx)
    check_new(out, force)
    if plot:
        from mfcli.plots.canvas import check_suffix

        check_suffix(plot)
    whole = read_split(split)
    parts = with_validation(whole, settings)
    if whole.valid is None:
        output.note(_CUT.format(len(parts.test)), quiet)
    search = _search(parts, settings, space, storage, threads)
    recommended = _recommended(parts, threads)
    if recommended is not None:
        output.note(_RECOMMENDED.format(recommended), quiet)
    with _trial_lines(search, trials, quiet) as on_trial:
        try:
            search.run(trials, 60 * minutes if minutes is not None else math.inf, on_trial)
        except KeyboardInterrupt:
            if search.best:
                _write(search, parts, out, plot)
                output.note(f"stopped; {out} has the best of {len(search.attempts)} trials", False)
            raise
    result = _write(search, parts, out, plot) | {"recommended_rmse": recommended}
    output.show(result, json, lambda: _tables(search, out, plot))
    if recommended is not None and recommended < result["rmse"]:
        output.note(_BETTER, quiet)


def _recommended(parts: Split, threads: int | None) -> float | None:
    """Return the validation RMSE of the settings of `mfcli init`, unless it takes long."""
    from mfcli.advising import advise
    from mfcli.training import fit
    from mfcli.tuning import LARGE

    if len(parts.train) >= LARGE:
        return None
    settings = {name: value for name, value, _ in advise(parts)}
    return math.sqrt(fit(parts, Config(**settings), threads=threads).losses["val_mse"])


def _search(
    parts: Split, settings: Config, space: Path | None, storage: Path | None, threads: int | None
) -> Search:
    import numpy as np

    from mfcli.parallel import cores
    from mfcli.search_space import default_space, read_space
    from mfcli.tuning import Search

    deviation = float(parts.train.rating.std(dtype=np.float64)) or 1.0
    chosen = read_space(space) if space else default_space(deviation)
    return Search(parts, settings, chosen, storage, threads or cores())


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


def _write(search: Search, parts: Split, out: Path, plot: Path | None) -> dict[str, Any]:
    """Write the best settings and the picture; return what there is to say."""
    from mfcli.search_space import settings_from
    from mfcli.settings_file import Setting, settings_text, write_settings

    best = search.best
    assert best  # a search without one has raised
    settings = settings_from(best.settings)
    title = (
        f"Found by mfcli tune: validation RMSE {best.rmse:.4f} on {len(parts.test):,} ratings,"
        f" the best of {len(search.attempts)} trials."
    )
    write_settings(out, settings_text(title, [Setting(n, v) for n, v in settings.items()]))
    importances = search.importances()
    if plot:
        from mfcli.plots.search import plot_search

        plot_search(search.attempts, importances, plot, title=title)
    return {
        "rmse": best.rmse,
        "trial": best.number,
        "trials": len(search.attempts),
        "cut_short": sum(not attempt.is_whole for attempt in search.attempts),
        "settings": settings,
        "importances": importances,
        "file": str(out),
        "picture": str(plot) if plot else None,
    }


def _tables(search: Search, out: Path, plot: Path | None) -> None:
    from mfcli.search_space import settings_from
    from mfcli.settings_file import command_with

    best, importances = search.best, search.importances()
    assert best
    cut = sum(not attempt.is_whole for attempt in search.attempts)
    rows = output.table(
        f"Trial {best.number}, the best of {len(search.attempts)} ({cut} cut short):"
        f" validation RMSE {best.rmse:.4f}",
        "setting",
        "value",
        "importance",
    )
    for name, value in settings_from(best.settings).items():
        share = importances.get("rate" if name == "lr" and "rate" in importances else name)
        rows.add_row(name, _short(value), "" if share is None else f"{share:.0%}")
    output.print_table(rows)
    if plot:
        print(f"{plot}: the search")
    print(f"{out}: next: {command_with(out)}")

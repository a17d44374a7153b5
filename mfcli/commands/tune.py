"""`mfcli tune`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

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
from mfcli.config import CONFIG_FILE, DEFAULTS, Config

if TYPE_CHECKING:
    from mfcli.search_space import Attempt
    from mfcli.settings_file import Setting
    from mfcli.splitting import Split
    from mfcli.tuning import Search

_CUT = "validating on {:,} ratings cut from the training ratings; the split has none of its own"
_RECOMMENDED = "validation RMSE with the settings of mfcli init: {:.4f}"
_KEPT = "the settings of mfcli init do better than what was found, and are in {}"
_BETTER = "the settings of mfcli init do better; to have them: mfcli init --force"


class _Recommended(NamedTuple):
    """What `mfcli init` says, and the validation RMSE with it."""

    settings: list[Setting]
    rmse: float


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
    recommended = _recommended(parts, settings.seed, threads, quiet)
    rival = None if space else recommended  # a space is to be chosen from, whatever else there is
    with _trial_lines(search, trials, quiet) as on_trial:
        try:
            search.run(trials, 60 * minutes if minutes is not None else math.inf, on_trial)
        except KeyboardInterrupt:
            if search.best:
                _write(search, rival, out, plot)
                output.note(f"stopped; {out} has the best of {len(search.attempts)} trials", False)
            raise
    result = _write(search, rival, out, plot)
    result["recommended_rmse"] = recommended.rmse if recommended else None
    output.show(result, json, lambda: _tables(search, out, plot))
    if recommended and search.best and recommended.rmse < search.best.rmse:
        output.note(_KEPT.format(out) if rival else _BETTER, quiet)


def _recommended(parts: Split, seed: int, threads: int | None, quiet: bool) -> _Recommended | None:
    """Train with the settings of `mfcli init`, unless it takes long."""
    from mfcli.advising import advise
    from mfcli.settings_file import Setting
    from mfcli.training import fit
    from mfcli.tuning import LARGE

    if len(parts.train) >= LARGE:
        return None
    advice = advise(parts)
    if seed != DEFAULTS.seed:
        advice.append(Setting("seed", seed, "As given."))
    config = Config(**{name: value for name, value, _ in advice})
    columns = (MofNCompleteColumn(), TextColumn("epochs with the settings of mfcli init"))
    with output.bar("trying", quiet, *columns) as (_, advance):
        advance(0, config.epochs)
        fitted = fit(
            parts,
            config,
            threads=threads,
            on_epoch=lambda epoch: advance(epoch.epoch, config.epochs),
        )
    found = _Recommended(advice, math.sqrt(fitted.losses["val_mse"]))
    output.note(_RECOMMENDED.format(found.rmse), quiet)
    return found


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


def _write(
    search: Search, rival: _Recommended | None, out: Path, plot: Path | None
) -> dict[str, Any]:
    """Write the best settings and the picture; return what there is to say."""
    from mfcli.search_space import settings_from
    from mfcli.settings_file import Setting, settings_text, write_settings

    best = search.best
    assert best  # a search without one has raised
    title, rmse = _title(search), best.rmse
    found = [Setting(n, v) for n, v in {**_kept(search), **settings_from(best.settings)}.items()]
    if rival and rival.rmse < best.rmse:
        found, rmse = rival.settings, rival.rmse
        title = f"The settings of mfcli init: validation RMSE {rmse:.4f}. {title}"
    write_settings(out, settings_text(title, found))
    importances = search.importances()
    if plot:
        from mfcli.plots.search import plot_search

        plot_search(search.attempts, importances, plot, title=_title(search))
    return {
        "rmse": rmse,
        "settings": {name: value for name, value, _ in found},
        "trial": best.number,
        "trial_rmse": best.rmse,
        "trials": len(search.attempts),
        "cut_short": sum(not attempt.is_whole for attempt in search.attempts),
        "importances": importances,
        "file": str(out),
        "picture": str(plot) if plot else None,
    }


def _title(search: Search) -> str:
    best = search.best
    assert best
    return (
        f"Found by mfcli tune: validation RMSE {best.rmse:.4f} on"
        f" {len(search.split.test):,} ratings, the best of {len(search.attempts)} trials."
    )


def _kept(search: Search) -> dict[str, Any]:
    """Return the settings that were in force in all trials, and are not the defaults."""
    values = search.base.as_dict()
    return {name: value for name, value in values.items() if value != getattr(DEFAULTS, name)}


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

"""`mfcli tune`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

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
from mfcli.config import CONFIG_FILE, DEFAULTS, SETTINGS, Config

if TYPE_CHECKING:
    from mfcli.config import Chosen
    from mfcli.search import Attempt, Search
    from mfcli.splits import Split

_CUT = "validating on {:,} ratings cut from the training ratings; the split has none of its own"
_INIT = "validation RMSE with the settings of mfcli init: {:.4f}"
_BETTER = "the settings of mfcli init do better; to have them: mfcli init --force"
_FAILED = "{} of the trials could not be trained: {}"


class _Found(NamedTuple):
    """Settings to train with, and the validation RMSE with them."""

    title: str
    settings: list[Chosen]
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
    from mfcli.config import check_new
    from mfcli.search import with_validation
    from mfcli.splits import read_split

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
    search = _search(parts, settings, space, storage, threads)
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
    output.show(result, json, lambda: _tables(search, rival, out, plot))
    if search.failures:
        output.note(_FAILED.format(len(search.failures), search.failures[0]), quiet)
    if space and advised and advised.rmse < result["rmse"]:
        output.note(_BETTER, quiet)


def _advised(parts: Split, settings: Config, threads: int | None, quiet: bool) -> _Found | None:
    """Train with the settings of `mfcli init`, unless that takes long or cannot be done."""
    from mfcli.errors import LimitError, TrainingError
    from mfcli.search import LARGE, advise
    from mfcli.training import fit

    if len(parts.train) >= LARGE:
        return None
    advice = advise(parts)
    config = Config(seed=settings.seed, **{name: value for name, value, _ in advice})
    columns = (MofNCompleteColumn(), TextColumn("epochs with the settings of mfcli init"))
    try:
        with output.bar("trying", quiet, *columns) as (_, advance):
            advance(0, config.epochs)
            fitted = fit(
                parts,
                config,
                threads=threads,
                on_epoch=lambda epoch: advance(epoch.epoch, config.epochs),
            )
    except (LimitError, TrainingError) as error:
        output.note(f"no training with the settings of mfcli init: {error}", quiet)
        return None
    rmse = math.sqrt(fitted.losses["val_mse"])
    output.note(_INIT.format(rmse), quiet)
    title = f"The settings of mfcli init: validation RMSE {rmse:.4f} on {len(parts.test):,} ratings"
    named = {name for name, *_ in advice}
    kept = [one for one in _kept(settings, training=False) if one.name not in named]
    return _Found(title, [*kept, *advice], rmse)


def _kept(settings: Config, training: bool) -> list[Chosen]:
    """Return settings that are in force and not the defaults, of training or the others."""
    from mfcli.config import Chosen, settings_in

    return [
        Chosen(name, value)
        for name in SETTINGS
        if (value := getattr(settings, name)) != getattr(DEFAULTS, name)
        and (training or name not in {*settings_in("training")} - {"seed"})
    ]


def _search(
    parts: Split, settings: Config, space: Path | None, storage: Path | None, threads: int | None
) -> Search:
    import numpy as np

    from mfcli.search import Search, default_space, read_space
    from mfcli.storage import cores

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


def _found(search: Search) -> _Found:
    """Return the best of the trials."""
    from mfcli.config import Chosen
    from mfcli.search import settings_from

    best = search.best
    assert best  # a search without one has raised
    title = (
        f"Found by mfcli tune: validation RMSE {best.rmse:.4f} on {len(search.split.test):,}"
        f" ratings, the best of {output.count(search.attempts, 'trial')}"
    )
    kept = {name: value for name, value, _ in _kept(search.base, training=True)}
    settings = kept | settings_from(best.settings, search.base)
    return _Found(title, [Chosen(name, value) for name, value in settings.items()], best.rmse)


def _winner(search: Search, rival: _Found | None) -> _Found:
    found = _found(search)
    if rival and rival.rmse < found.rmse:
        return rival._replace(title=f"{rival.title}. {found.title}")
    return found


def _write(search: Search, rival: _Found | None, out: Path, plot: Path | None) -> dict[str, Any]:
    """Write the best settings and the picture; return what there is to say."""
    from mfcli.config import settings_text, write_settings

    best, winner, importances = search.best, _winner(search, rival), search.importances()
    assert best
    write_settings(out, settings_text(f"{winner.title}.", winner.settings))
    if plot:
        from mfcli.plots import plot_search

        plot_search(search.attempts, importances, plot, title=_found(search).title)
    return {
        "rmse": winner.rmse,
        "settings": {name: value for name, value, _ in winner.settings},
        "trial": best.number,
        "trial_rmse": best.rmse,
        "trials": len(search.attempts),
        "cut_short": sum(not attempt.is_whole for attempt in search.attempts),
        "failed": len(search.failures),
        "importances": importances,
        "file": str(out),
        "picture": str(plot) if plot else None,
    }


def _tables(search: Search, rival: _Found | None, out: Path, plot: Path | None) -> None:
    from mfcli.config import training_command
    from mfcli.search import settings_from

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
    for name, value in settings_from(best.settings, search.base).items():
        share = importances.get("rate" if name == "lr" and "rate" in importances else name)
        rows.add_row(name, _short(value), "" if share is None else f"{share:.0%}")
    output.print_table(rows)
    if rival and rival.rmse < best.rmse:
        print(f"The settings of mfcli init do better, validation RMSE {rival.rmse:.4f}:")
        print(", ".join(f"{name} {_short(value)}" for name, value, _ in rival.settings))
    if plot:
        print(f"{plot}: the search")
    print(f"{out}: next: {training_command(out)}")

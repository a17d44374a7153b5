"""`mfcli plot`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mfcli import evaluation, events, plots, storage, training
from mfcli.cli.formatting import count
from mfcli.cli.log_following import LogFollower, followed_log
from mfcli.cli.options import FILES, Given
from mfcli.cli.picture_options import PictureOptions
from mfcli.cli.screen import JsonOption, Screen, print_note
from mfcli.cli.shared_options import refuse
from mfcli.cli.streams import print_line
from mfcli.errors import ArtifactError, UsageError

if TYPE_CHECKING:
    from mfcli.training import History

_PANEL = "Plot"


def plot(
    *,
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE",
            help="history.json files, run folders, Keras histories (JSON) or logs of events (train"
            " --log); or metrics.json files.",
            show_default=False,
        ),
    ] = None,
    given: Given,
    screen: JsonOption,
    rmse: Annotated[
        bool, typer.Option("--rmse", help="Plot RMSE instead of MSE.", rich_help_panel=_PANEL)
    ] = False,
    seconds: Annotated[
        bool,
        typer.Option(
            "--seconds",
            help="Plot the validation error against time instead of epochs.",
            rich_help_panel=_PANEL,
        ),
    ] = False,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow",
            help="Draw a log of events again after new epochs, until its training ends or Ctrl-C."
            " By default, the log is events.jsonl; a missing log is waited for.",
            rich_help_panel=_PANEL,
        ),
    ] = False,
    title: Annotated[
        str, typer.Option(metavar="TEXT", help="Title of the figure.", rich_help_panel=_PANEL)
    ] = "",
    picture: PictureOptions,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="PNG, SVG or PDF file to write.",
            show_default="next to the file; ./history.png or ./metrics.png for several files",
            rich_help_panel=FILES,
        ),
    ] = None,
) -> None:
    """Plot training histories, or the errors of models by groups of ratings.

    Several histories or several metrics.json files are compared in one figure. The trainings and
    folds in a log of events are, too.
    """
    if follow:
        log = followed_log(files or [])
        look = {"title": title, "size": picture.inches, "dpi": picture.resolution}
        _follow(log, out, look | {"rmse": rmse, "seconds": seconds}, screen)
        return
    if not files:
        raise UsageError("Missing argument 'FILE'", remedy="for help: mfcli plot --help")
    paths = [path / training.HISTORY_FILE if path.is_dir() else path for path in files]
    metrics = [path for path in paths if not events.is_log(path) and evaluation.is_metrics(path)]
    if metrics and len(metrics) < len(paths):
        raise UsageError(f"{metrics[0]}: metrics and histories need separate plots; omit one kind")
    if metrics:
        refuse(given, ("rmse", "seconds"), f"with {paths[0]}, which holds metrics", "omit it")
    several = Path(evaluation.METRICS_FILE if metrics else training.HISTORY_FILE)
    target = out or (paths[0] if len(paths) == 1 else several).with_suffix(".png")
    look = {"title": title, "size": picture.inches, "dpi": picture.resolution}
    if metrics:
        _plot_metrics(paths, target, look, screen)
    else:
        _plot_histories(paths, target, look | {"rmse": rmse, "seconds": seconds}, screen)


def _plot_histories(
    paths: list[Path], target: Path, options: dict[str, Any], screen: Screen
) -> None:
    named = plots.with_trainings(dict(zip(evaluation.run_names(paths), paths, strict=True)))
    runs = {
        name: one if isinstance(one, training.History) else training.History.read(one)
        for name, one in named.items()
    }
    plots.plot_histories(runs, target, **options)
    _show_histories(runs, target, screen)


def _show_histories(runs: Mapping[str, History], target: Path, screen: Screen) -> None:
    result = {"picture": str(target), "runs": {name: len(run) for name, run in runs.items()}}
    screen.show(result, lambda: print_line(f"{target}: {count(len(runs), 'run')}"))


def _follow(log: Path, out: Path | None, options: dict[str, Any], screen: Screen) -> None:
    target = out or log.with_suffix(".png")
    # Now, because the first epoch may be hours away.
    plots.check_suffix(target)
    if options["size"]:
        plots.check_size(options["size"], options["dpi"])
    storage.check_writable_file(target)

    def draw(runs: Mapping[str, History]) -> None:
        plots.plot_histories(runs, target, **options)

    follower = LogFollower(log, draw, target)
    try:
        follower.run()
    finally:  # also after Ctrl-C
        if follower.shown:
            _show_histories(follower.shown, target, screen)
    for message in follower.failures:
        print_note(f"the training ended with an error: {message}")
    if not follower.shown:
        raise ArtifactError("holds no epoch of a training", place=log)


def _plot_metrics(paths: list[Path], target: Path, look: dict[str, Any], screen: Screen) -> None:
    runs = dict(zip(evaluation.run_names(paths), map(evaluation.read_metrics, paths), strict=True))
    result: dict[str, Any] = {"picture": str(target)}
    if len(runs) == 1:
        result["panels"] = plots.plot_metrics(next(iter(runs.values())), target, **look)
    else:
        result |= {"panels": plots.plot_comparison(runs, target, **look), "runs": list(runs)}
    of = f" of {count(len(runs), 'run')}" if len(runs) > 1 else ""
    screen.show(
        result, lambda: print_line(f"{target}: {count(len(result['panels']), 'panel')}{of}")
    )

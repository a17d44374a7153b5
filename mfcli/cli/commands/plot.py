"""`mfcli plot`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mfcli import evaluation, plots, training
from mfcli.cli.formatting import count
from mfcli.cli.options import FILES, Given
from mfcli.cli.screen import JsonOption, Screen
from mfcli.cli.shared_options import refuse
from mfcli.cli.streams import print_line
from mfcli.errors import UsageError

_PANEL = "Plot"


def plot(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE",
            help="history.json files, run folders or Keras histories (JSON); or one metrics.json.",
        ),
    ],
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
    title: Annotated[
        str, typer.Option(metavar="TEXT", help="Title of the figure.", rich_help_panel=_PANEL)
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="PNG, SVG or PDF file to write.",
            show_default="next to the file; ./history.png for several files",
            rich_help_panel=FILES,
        ),
    ] = None,
) -> None:
    """Plot training histories, or the error of a model by groups of ratings."""
    paths = [path / training.HISTORY_FILE if path.is_dir() else path for path in files]
    several = Path(training.HISTORY_FILE)
    target = out or (paths[0] if len(paths) == 1 else several).with_suffix(".png")
    metrics = [path for path in paths if evaluation.is_metrics(path)]
    if not metrics:
        _plot_histories(paths, target, rmse, seconds, title, screen)
    elif len(paths) == 1:
        refuse(given, ("rmse", "seconds"), f"with {paths[0]}, which holds metrics", "omit it")
        _plot_metrics(paths[0], target, title, screen)
    else:
        raise UsageError(
            f"{metrics[0]}: metrics are plotted one file at a time; omit the other files"
        )


def _plot_histories(
    paths: list[Path], target: Path, rmse: bool, seconds: bool, title: str, screen: Screen
) -> None:
    runs = dict(zip(evaluation.run_names(paths), map(training.History.read, paths), strict=True))
    plots.plot_histories(runs, target, rmse=rmse, seconds=seconds, title=title)
    result = {"picture": str(target), "runs": {name: len(run) for name, run in runs.items()}}
    screen.show(result, lambda: print_line(f"{target}: {count(len(runs), 'run')}"))


def _plot_metrics(path: Path, target: Path, title: str, screen: Screen) -> None:
    panels = plots.plot_metrics(evaluation.read_metrics(path), target, title=title)
    result = {"picture": str(target), "panels": panels}
    screen.show(result, lambda: print_line(f"{target}: {count(len(panels), 'panel')}"))

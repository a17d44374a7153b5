"""`mfcli plot`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mfcli.cli import output
from mfcli.cli.inputs import run_names
from mfcli.cli.options import AsJson, refuse
from mfcli.errors import UsageError


def plot(
    ctx: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(
            help="history.json files, run folders, or Keras histories as JSON; or one metrics.json."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="PNG, SVG or PDF to write.",
            show_default="beside the file; history.png here for several",
        ),
    ] = None,
    rmse: Annotated[bool, typer.Option("--rmse", help="Draw RMSE in place of MSE.")] = False,
    seconds: Annotated[
        bool, typer.Option("--seconds", help="Draw validation errors against seconds, not epochs.")
    ] = False,
    title: Annotated[str, typer.Option(help="A line above the picture.")] = "",
    json: AsJson = False,
) -> None:
    """Draw training histories, or where the error of a model is."""
    import logging

    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # not a word about its own cache
    from mfcli.evaluation import is_metrics
    from mfcli.training import HISTORY_FILE

    paths = [path / HISTORY_FILE if path.is_dir() else path for path in files]
    target = out or (
        paths[0].with_suffix(".png") if len(paths) == 1 else Path(HISTORY_FILE).with_suffix(".png")
    )
    metrics = [path for path in paths if is_metrics(path)]
    if not metrics:
        _plot_histories(paths, target, rmse, seconds, title, json)
    elif len(paths) == 1:
        refuse(ctx, ("rmse", "seconds"), f"{paths[0]}")
        _plot_metrics(paths[0], target, title, json)
    else:
        raise UsageError(f"{metrics[0]}: holds metrics, which are drawn alone; name no other file")


def _plot_histories(
    paths: list[Path], target: Path, rmse: bool, seconds: bool, title: str, json: bool
) -> None:
    from mfcli.plots import plot_histories
    from mfcli.training import History

    runs = dict(zip(run_names(paths), map(History.read, paths), strict=True))
    plot_histories(runs, target, rmse=rmse, seconds=seconds, title=title)
    result = {"picture": str(target), "runs": {name: len(run) for name, run in runs.items()}}
    output.show(result, json, lambda: print(f"{target}: {output.count(runs, 'run')}"))


def _plot_metrics(path: Path, target: Path, title: str, json: bool) -> None:
    from mfcli.evaluation import read_metrics
    from mfcli.plots import plot_metrics

    panels = plot_metrics(read_metrics(path), target, title=title)
    result = {"picture": str(target), "panels": panels}
    output.show(result, json, lambda: print(f"{target}: {output.count(panels, 'panel')}"))

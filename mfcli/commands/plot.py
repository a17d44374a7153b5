"""`mfcli plot`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfcli import output
from mfcli.commands.options import AsJson

if TYPE_CHECKING:
    pass


def plot(
    histories: Annotated[
        list[Path],
        typer.Argument(help="history.json files, run folders, or Keras histories as JSON."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="PNG, SVG or PDF to write.",
            show_default="beside the history; history.png here for several",
        ),
    ] = None,
    rmse: Annotated[bool, typer.Option("--rmse", help="Draw RMSE in place of MSE.")] = False,
    seconds: Annotated[
        bool, typer.Option("--seconds", help="Draw validation errors against seconds, not epochs.")
    ] = False,
    title: Annotated[str, typer.Option(help="A line above the picture.")] = "",
    json: AsJson = False,
) -> None:
    """Draw training histories."""
    import logging

    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # not a word about its own cache
    from mfcli.plots import plot_histories
    from mfcli.training import HISTORY_FILE, History

    paths = [path / HISTORY_FILE if path.is_dir() else path for path in histories]
    target = out or (
        paths[0].with_suffix(".png") if len(paths) == 1 else Path(HISTORY_FILE).with_suffix(".png")
    )
    runs = dict(zip(_run_names(paths), map(History.read, paths), strict=True))
    plot_histories(runs, target, rmse=rmse, seconds=seconds, title=title)
    result = {"picture": str(target), "runs": {name: len(run) for name, run in runs.items()}}
    output.show(result, json, lambda: print(f"{target}: {output.count(runs, 'run')}"))


def _run_names(paths: list[Path]) -> list[str]:
    """Name runs by file, by folder or by path, whichever tells them apart first."""
    for names in ([p.stem for p in paths], [p.resolve().parent.name for p in paths]):
        if len(set(names)) == len(paths):
            return names
    return [str(path) for path in paths]

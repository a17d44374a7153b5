"""The options `--cluster`, `--workers` and `--retries`, which hold while a command runs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Annotated, Any

import typer

from mfcli import clusters
from mfcli.cli.added_options import add_options
from mfcli.cli.dry_run import refuse_dry_run
from mfcli.cli.options import Command
from mfcli.cli.spelling import option_of
from mfcli.errors import Param, Text, UsageError

_PANEL = "Cluster"
_ADDRESS = (
    "Ray cluster to run on: auto (the one of this machine), local (started on this machine),"
    " HOST:PORT, or ray://HOST:PORT."
)
_SAME = "It does not change the result."
_WORKERS = typer.Option(
    "--workers",
    min=1,
    help="Number of workers.",
    show_default="one on each node",
    rich_help_panel=_PANEL,
)
_RETRIES = typer.Option(
    "--retries",
    min=0,
    help="How often lost workers are replaced.",
    show_default=str(clusters.RETRIES),
    rich_help_panel=_PANEL,
)
_OPTIONS = {
    "workers": Annotated[int | None, _WORKERS],
    "retries": Annotated[int | None, _RETRIES],
}


def on_cluster(
    check: Callable[[frozenset[str]], None] = lambda given: None, *, result: str = _SAME
) -> Callable[[Command], Command]:
    """Return a decorator that gives a command the options of a cluster.

    Place it below `within_limits`, so that temporary files of a cluster go where `--temp` says.

    Parameters
    ----------
    check : callable, optional
        Given the names of the options on the command line, raises an error if they do not need a
        cluster. It is called before the cluster starts.
    result : str
        On what the result depends, for the help.
    """
    address = typer.Option(
        "--cluster",
        metavar="ADDRESS",
        help=f"{_ADDRESS} {result}",
        show_default="this process",
        rich_help_panel=_PANEL,
    )
    options = {"cluster": Annotated[str | None, address], **_OPTIONS}

    def distributed(command: Command) -> Command:
        @functools.wraps(command)
        def run(
            *, cluster: str | None, workers: int | None, retries: int | None, **values: Any
        ) -> None:
            if cluster is None:
                _refuse(workers=workers, retries=retries)
                command(**values)
                return
            refuse_dry_run(values, "is not used with --cluster", "omit one of them")
            check(values.get("given", frozenset()))
            most = clusters.RETRIES if retries is None else retries
            with clusters.cluster(cluster, workers=workers, retries=most):
                command(**values)

        add_options(run, command, options)
        return run

    return distributed


def _refuse(**given: int | None) -> None:
    for name, value in given.items():
        if value is not None:
            remedy: Text = ["add ", Param("address", "auto"), ", or omit it"]
            raise UsageError(f"{option_of(name)} is not used without a cluster", remedy=remedy)


def cluster_params() -> list[Param]:
    """Return the parameters that choose the cluster in use, to repeat a command on it."""
    cluster = clusters.current_cluster()
    if cluster is None:
        return []
    params = [Param("address", cluster.address)]
    if len(cluster) != len(cluster.nodes):
        params.append(Param("workers", len(cluster)))
    if cluster.retries != clusters.RETRIES:
        params.append(Param("retries", cluster.retries))
    return params

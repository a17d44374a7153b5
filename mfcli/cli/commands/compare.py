"""`mfcli compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from mfcli.cli import output
from mfcli.cli.inputs import run_names
from mfcli.cli.options import AsJson
from mfcli.errors import UsageError

if TYPE_CHECKING:
    from mfcli.evaluation import Comparison


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Run folders or metrics.json files; the first is compared to."),
    ],
    any_protocol: Annotated[
        bool,
        typer.Option("--any-protocol", help="Even if they were measured in different ways."),
    ] = False,
    json: AsJson = False,
) -> None:
    """Put runs beside one another: what was set differently, and what came of it."""
    from mfcli.evaluation import compare as compare_runs, metrics_file, read_metrics

    if len(runs) < 2:
        raise UsageError("name two runs or more, such as: mfcli compare runs/a runs/b")
    files = [metrics_file(path) for path in runs]
    read = [read_metrics(file) for file in files]
    named = dict(zip(run_names(files), read, strict=True))
    comparison = compare_runs(named, any_protocol=any_protocol)
    result = comparison.as_dict()
    for row, file in zip(result["runs"], files, strict=True):
        row["file"] = str(file)
    output.show(result, json, lambda: _tables(comparison))


def _tables(comparison: Comparison) -> None:
    output.print_table(_runs_table(comparison))
    output.print_table(_differences_table(comparison))


def _runs_table(comparison: Comparison) -> Table:
    """A row for each run: what was set differently, and the measures, the best in bold."""
    from mfcli.evaluation import MEASURES

    settings = comparison.settings
    shown = [name for name in comparison.measures if MEASURES[name].is_brief]
    protocol = next(iter(comparison.runs.values())).protocols[0]
    title = f"{protocol.ratings:,} {protocol.on} ratings"
    table = output.table(title, "run", *settings, *(MEASURES[name].label for name in shown))
    for number, name in enumerate(comparison.runs):
        own = (str(column[number]) for column in settings.values())
        values = (_measure(comparison, measure, number) for measure in shown)
        table.add_row(output.cell(name), *map(output.cell, own), *values)
    return table


def _measure(comparison: Comparison, measure: str, number: int) -> str:
    from mfcli.evaluation import MEASURES

    text = MEASURES[measure].text(comparison.measures[measure][number])
    return f"[bold]{text}[/bold]" if number in comparison.best(measure) else text


def _differences_table(comparison: Comparison) -> Table:
    """A row for each run but the first: its errors less those of the first."""
    from mfcli.evaluation import MEASURES

    first, *others = comparison.runs
    shown = [name for name in ("rmse", "ndcg") if name in comparison.measures]
    columns = [column for name in shown for column in (MEASURES[name].label, "95% interval")]
    table = output.table(f"Differences to {first}", "run", *columns)
    for run in others:
        cells = (cell for name in shown for cell in _difference(comparison, name, run))
        table.add_row(output.cell(run), *cells)
    return table


def _difference(comparison: Comparison, measure: str, run: str) -> tuple[str, str]:
    difference = comparison.difference(measure, run)
    if difference is None:
        return "-", "-"
    ends = difference.interval
    return f"{difference.value:+.4f}", f"{ends[0]:+.4f} to {ends[1]:+.4f}" if ends else "-"

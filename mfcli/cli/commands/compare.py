"""`mfcli compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from mfcli import evaluation, splits
from mfcli.cli.formatting import interval, plain
from mfcli.cli.options import FILES
from mfcli.cli.screen import JsonOption
from mfcli.cli.tables import Table, print_table, table as make_table
from mfcli.errors import UsageError

if TYPE_CHECKING:
    from mfcli.evaluation import Comparison

_MOST_COLUMNS = 3  # of settings beside the measures; more have a table of their own


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN", help="Run folders or metrics.json files. The first is the baseline."
        ),
    ],
    screen: JsonOption,
    any_protocol: Annotated[
        bool,
        typer.Option(
            "--any-protocol",
            help="Compare even if the runs were evaluated in different ways.",
            rich_help_panel=FILES,
        ),
    ] = False,
) -> None:
    """Compare runs: different settings, metrics, and differences with intervals."""
    if len(runs) < 2:
        raise UsageError("name at least two runs, such as: mfcli compare runs/a runs/b")
    files = [evaluation.metrics_file(path) for path in runs]
    read = [evaluation.read_metrics(file) for file in files]
    named = dict(zip(evaluation.run_names(files), read, strict=True))
    comparison = evaluation.compare(named, any_protocol=any_protocol)
    result = comparison.as_dict()
    # Names are short; programs that read the JSON need the files.
    for row, file in zip(result["runs"], files, strict=True):
        row["file"] = str(file)
    screen.show(result, lambda: _print(comparison))


def _print(comparison: Comparison) -> None:
    settings = {
        name: ["-" if value is None else plain(value) for value in values]
        for name, values in comparison.settings.items()
    }
    if len(settings) > _MOST_COLUMNS:
        print_table(_settings_table(comparison, settings))
        settings = {}
    print_table(_runs_table(comparison, settings))
    print_table(_differences_table(comparison))


def _settings_table(comparison: Comparison, settings: dict[str, list[str]]) -> Table:
    """One row per setting that differs, one column per run."""
    table = make_table("Settings that differ", "", *comparison.runs)
    for name, values in settings.items():
        table.add_row(name, *values)
    return table


def _runs_table(comparison: Comparison, settings: dict[str, list[str]]) -> Table:
    """One row per run: settings that differ, and the measures, the best in bold."""
    measures = evaluation.MEASURES
    shown = [name for name in comparison.measures if measures[name].is_brief]
    # All runs have the same protocol, or the user has asked for `--any-protocol`.
    protocol = next(iter(comparison.runs.values())).protocols[0]
    title = f"{protocol.ratings:,} {splits.ratings_of(protocol.on)}"
    table = make_table(title, "run", *settings, *(measures[name].label for name in shown))
    for number, name in enumerate(comparison.runs):
        values = (column[number] for column in settings.values())
        table.add_row(name, *values, *(_measure(comparison, m, number) for m in shown))
    return table


def _measure(comparison: Comparison, measure: str, number: int) -> Text:
    text = evaluation.MEASURES[measure].text(comparison.measures[measure][number])
    return Text(text, "bold" if number in comparison.best(measure) else "")


def _differences_table(comparison: Comparison) -> Table:
    """One row per run after the first: its measures minus those of the first."""
    first, *others = comparison.runs
    shown = [name for name in ("rmse", "ndcg") if name in comparison.measures]
    columns = [
        column for name in shown for column in (evaluation.MEASURES[name].label, "95% interval")
    ]
    table = make_table(f"Differences from {first}", "run", *columns)
    for run in others:
        cells = (text for name in shown for text in _difference(comparison, name, run))
        table.add_row(run, *cells)
    return table


def _difference(comparison: Comparison, measure: str, run: str) -> tuple[str, str]:
    difference = comparison.difference(measure, run)
    if difference is None:
        return "-", "-"
    return f"{difference.value:+.4f}", interval(difference.interval, "+.4f")

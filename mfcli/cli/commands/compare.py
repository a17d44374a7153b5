"""`mfcli compare`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from mfcli import evaluation
from mfcli.cli.formatting import count
from mfcli.cli.options import FILES
from mfcli.cli.screen import JsonOption
from mfcli.cli.streams import print_line
from mfcli.cli.tables import Table, fits, print_table, table as make_table
from mfcli.errors import UsageError

if TYPE_CHECKING:
    from mfcli.evaluation import Comparison


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
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Markdown, CSV, HTML or JSON file to write (.md, .csv, .html, .json).",
            show_default="a table",
            rich_help_panel=FILES,
        ),
    ] = None,
) -> None:
    """Compare runs: different settings, metrics, and differences with intervals."""
    if len(runs) < 2:
        raise UsageError("name at least two runs, such as: mfcli compare runs/a runs/b")
    if out:
        evaluation.check_comparison_suffix(out)
    files = [evaluation.metrics_file(path) for path in runs]
    read = [evaluation.read_metrics(file) for file in files]
    named = dict(zip(evaluation.run_names(files), read, strict=True))
    comparison = evaluation.compare(named, any_protocol=any_protocol)
    result = comparison.as_dict()
    # Names are short; programs that read the JSON need the files.
    for row, file in zip(result["runs"], files, strict=True):
        row["file"] = str(file)
    if out:
        evaluation.write_comparison(comparison, out)
        result["out"] = str(out)
    screen.show(result, lambda: _print(comparison, out))


def _print(comparison: Comparison, out: Path | None) -> None:
    if out:
        print_line(f"{out}: {count(len(comparison.runs), 'run')}")
        return
    for table in _tables(comparison):
        print_table(table)


def _tables(comparison: Comparison) -> Iterator[Table]:
    """Yield tables that are not too wide; each has the first run and some of the others."""
    chosen: list[int] = []
    for number in range(1, len(comparison.runs)):
        if chosen and not fits(_table(comparison, [0, *chosen, number])):
            yield _table(comparison, [0, *chosen])
            chosen = []
        chosen.append(number)
    yield _table(comparison, [0, *chosen])


def _table(comparison: Comparison, numbers: list[int]) -> Table:
    """Make a table of some runs, with a section for each kind of row."""
    names = list(comparison.runs)
    title = evaluation.comparison_title(comparison)
    table = make_table(title, "", *(names[number] for number in numbers))
    for rows in evaluation.comparison_rows(comparison).values():
        for row in rows:
            cells = (Text(row.cells[n], "bold" if n in row.best else "") for n in numbers)
            table.add_row(row.label, *cells)
        table.add_section()
    table.caption = f"The differences are from the first run, {names[0]}."
    return table

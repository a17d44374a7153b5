"""The rows of predictions and recommendations: printed, or written to a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mfcli import data
from mfcli.cli.formatting import count
from mfcli.cli.options import FILES
from mfcli.cli.places import FILE
from mfcli.cli.screen import Screen
from mfcli.cli.streams import data_output, print_line
from mfcli.cli.tables import print_table, table as make_table

if TYPE_CHECKING:
    import pyarrow as pa


def _out(default: str) -> Any:
    return typer.Option(
        "--out",
        metavar="FILE",
        help="CSV or Parquet file to write; - for CSV on stdout.",
        show_default=default,
        rich_help_panel=FILES,
    )


Out = Annotated[Path | None, _out("a table"), FILE]
PairsOut = Annotated[Path | None, _out("a table; for the pairs of a file, CSV on stdout"), FILE]


def check_out(out: Path | None) -> None:
    """Refuse a file of an unknown type before any work."""
    if out is not None and str(out) != "-":
        data.check_table_suffix(out)


def print_rows(
    tables: Iterable[pa.Table],
    name: str,
    out: Path | None,
    screen: Screen,
    facts: dict[str, Any] | None = None,
    shown: Callable[[pa.Table], pa.Table] = lambda table: table,
) -> None:
    """Write tables that follow each other to a file or to stdout, or print them as one table.

    Parameters
    ----------
    tables : iterable of Table
        At least one.
    name : str
        Their key in JSON.
    out : Path, optional
    screen : Screen
    facts : dict, optional
        Other values for JSON.
    shown : callable, optional
        Returns what to print in place of the table.
    """
    if out is not None and str(out) == "-":
        # Guarded, because the output may be opened in a spreadsheet, which runs formulas.
        data_output().writelines(data.csv_parts(map(data.guarded, tables)))
    elif out is not None:
        rows = data.write_tables(out, tables)
        result = {**(facts or {}), "out": str(out), "rows": rows}
        screen.show(result, lambda: print_line(f"{out}: {count(rows, 'row')}"))
    else:
        table = data.joined_tables(tables)
        result = {**(facts or {}), name: table.to_pylist()} if screen.json else {}
        screen.show(result, lambda: _print_table(shown(table)))


def _print_table(rows: pa.Table) -> None:
    table = make_table("", *rows.column_names)
    for row in rows.to_pylist():
        for column, value in zip(table.columns, row.values(), strict=True):
            if value is not None:
                column.justify = "left" if isinstance(value, str) else "right"
        table.add_row(*map(_cell, row.values()))
    print_table(table)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else str(value)

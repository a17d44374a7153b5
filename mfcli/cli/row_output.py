"""The rows of predictions and recommendations: printed, or written to a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mfcli import data
from mfcli.cli.formatting import count
from mfcli.cli.options import FILES
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


Out = Annotated[Path | None, _out("a table")]
PairsOut = Annotated[Path | None, _out("a table; for the pairs of a file, CSV on stdout")]


def check_out(out: Path | None) -> None:
    """Refuse a file of an unknown type before any work."""
    if out is not None and str(out) != "-":
        data.check_table_suffix(out)


def print_rows(
    table: pa.Table,
    name: str,
    out: Path | None,
    screen: Screen,
    facts: dict[str, Any] | None = None,
    shown: pa.Table | None = None,
) -> None:
    """Write a table to a file or to stdout, or print it.

    Parameters
    ----------
    table : Table
    name : str
        Its key in JSON.
    out : Path, optional
    screen : Screen
    facts : dict, optional
        Other values for JSON.
    shown : Table, optional
        What to print in place of the table.
    """
    if out is not None and str(out) == "-":
        # Guarded, because the output may be opened in a spreadsheet, which runs formulas.
        data_output().write(data.csv_bytes(data.guarded(table)))
        return
    if out is not None:
        data.write_table(out, table)
    if screen.json:
        result = {"out": str(out), "rows": len(table)} if out else {name: table.to_pylist()}
        screen.show((facts or {}) | result, lambda: None)
    elif out is not None:
        print_line(f"{out}: {count(len(table), 'row')}")
    else:
        _print_table(table if shown is None else shown)


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

"""Tables of all settings, for `mfcli show --settings`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

from mfcli.cli.streams import print_line, width
from mfcli.cli.tables import Table, print_table, table as make_table
from mfcli.config import STAGES, value_text

Described: TypeAlias = dict[str, Any]

_WIDE = 80  # columns, in which the longest name of a setting and of its variable fit


def print_settings(file: Path | None, described: list[Described]) -> None:
    """Print what differs from the defaults, and then all settings by stage.

    Parameters
    ----------
    file : Path, optional
        The settings file.
    described : list of dict
        As `mfcli.show.described_settings` returns them.
    """
    print_line(f"settings file: {file or 'none'}")
    changed = [one for one in described if one["changed"]]
    if changed:
        table = _table("Changed settings", "default")
        for one in changed:
            table.add_row(*_cells(one), _default(one), _remark(one))
        print_table(table)
    else:
        print_line("all settings have their defaults")
    for title, some in _groups(described).items():
        table = _table(title)
        for one in some:
            table.add_row(*_cells(one), _remark(one) or _stages(one))
        print_table(table)


def _table(title: str, *more: str) -> Table:
    table = make_table(title, "", "value")
    table.add_column("from")
    for column in (table.columns[0], table.columns[2]):
        column.no_wrap = width() >= _WIDE  # names are not broken
    for name in more:
        table.add_column(name, justify="right")
    table.add_column("remark")
    return table


def _groups(described: list[Described]) -> dict[str, list[Described]]:
    """Return the settings by a title for each stage; those of several stages come last."""
    groups = {
        f"{stage.capitalize()} settings": [one for one in described if one["stages"] == [stage]]
        for stage in STAGES
    }
    return groups | {"Settings of several stages": [o for o in described if len(o["stages"]) > 1]}


def _cells(one: Described) -> list[str]:
    value = one["effective"]
    origin = Path(one["from"]).name  # the path is in the first line
    return [one["name"], "-" if value is None else value_text(value), origin]


def _default(one: Described) -> str:
    return "-" if one["default"] is None else value_text(one["default"])


def _remark(one: Described) -> str:
    """Say why a setting has no effect, or what it means that it is not set."""
    if one["unused_because"]:
        ((name, value),) = one["unused_because"].items()
        return f"not used with{'out' if value is None else ''} {name}" + (
            "" if value is None else f" {value_text(value)}"
        )
    return f"unset: {one['unset']}" if one["unset"] else ""


def _stages(one: Described) -> str:
    """Name the stages of a setting, if there are several."""
    return "for " + ", ".join(one["stages"]) if len(one["stages"]) > 1 else ""

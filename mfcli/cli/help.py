"""The help of commands, laid out for the width of the screen.

The layout of Typer cuts long names of options on narrow screens, and wraps in files and pipes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from mfcli.cli.streams import UNLIMITED, console, width

_LEAST = 50  # columns; a narrower screen wraps the lines
_NAME, _TYPE = "bold cyan", "yellow"
_DEFAULT = re.compile(r"\[default: .*\]\Z")  # as `options.py` adds it


def print_help(command: Any, context: Any) -> None:
    """Print the usage and the help of a command or a group, and its parameters in panels.

    Parameters
    ----------
    command : Command or Commands
    context : Context of Typer
    """
    screen = console(width=max(width(), _LEAST))
    for text in _paragraphs(command, context):
        screen.print(text, "", sep="\n")
    panels = [
        Panel(rows, title=Text(title), title_align="left", border_style="dim")
        for title, rows in chain(_parameters(command, context), _commands(command, context))
    ]
    if screen.width == UNLIMITED:
        screen.width = max(screen.measure(panel).maximum for panel in panels)
    screen.print(*panels, sep="")
    if command.epilog:
        screen.print("", command.epilog, sep="\n")


def _paragraphs(command: Any, context: Any) -> Iterator[Text]:
    pieces = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield Text.assemble(("Usage: ", "yellow"), (pieces, "bold"))
    for paragraph in (command.help or "").split("\n\n"):
        yield Text(" ".join(paragraph.split()))


def _parameters(command: Any, context: Any) -> Iterator[tuple[str, Table]]:
    """Yield the panels of arguments and options: names, type, and help with the default."""
    panels: dict[str, Table] = {}
    # Arguments come first, as on the command line.
    params = sorted(command.get_params(context), key=lambda one: one.param_type_name)
    for param in params:
        is_argument = param.param_type_name == "argument"
        title = param.rich_help_panel or ("Arguments" if is_argument else "Options")
        rows = panels.setdefault(title, _grid(3))
        names = param.metavar if is_argument else _names(param)
        type_ = "" if is_argument else param.metavar or ""
        rows.add_row(Text(names, _NAME), Text(type_, _TYPE), _help(param))
    yield from panels.items()


def _names(param: Any) -> str:
    """Return the names of an option, those that negate it in a line below."""
    long_first = sorted(param.opts, key=len, reverse=True)
    return "\n".join([", ".join(long_first), *param.secondary_opts])


def _help(param: Any) -> Text:
    text = Text(param.help or "")
    text.highlight_regex(_DEFAULT, "dim")
    return text.append(" [required]", "red") if param.required else text


def _commands(command: Any, context: Any) -> Iterator[tuple[str, Table]]:
    """Yield the panels of the commands in a group; none for a single command."""
    panels: dict[str, Table] = {}
    found = command.summaries() if hasattr(command, "summaries") else {}
    longest = max(map(len, found), default=0)  # the same in all panels
    for name, (panel, text) in found.items():
        rows = panels.setdefault(panel, _grid(2, longest))
        first, *_ = text.split("\n\n")
        rows.add_row(Text(name, _NAME), Text(" ".join(first.split())))
    yield from panels.items()


def _grid(columns: int, longest: int = 0) -> Table:
    """Make rows whose last column is wrapped; the others are not."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, min_width=longest)
    for _ in range(columns - 2):
        grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    return grid

"""How commands are written: the options of parameters, with their values quoted for a shell."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from mfcli.errors import Param

_OPTIONS = {
    "columns.user": "--user-col",
    "columns.item": "--item-col",
    "columns.rating": "--rating-col",
    "columns.timestamp": "--time-col",
    "columns.weight": "--weight-col",
    "title_columns.item": "--title-id-col",
    "title_columns.title": "--title-col",
    "purpose": "--for",
    "address": "--cluster",
}
"""Parameters whose option has another name."""

_NO_TEST = ("test", 0)  # has an option, as the value False of flags has


def option_of(name: str) -> str:
    """Return the option of a parameter."""
    return _OPTIONS.get(name) or "--" + name.replace("_", "-")


def spelled(param: Param) -> str:
    """Spell a parameter as on the command line; a value is quoted for the shell if needed."""
    option = option_of(param.name)
    if not param.has_value or param.value is True:  # a flag has no value on the command line
        return option
    if param.value is False or (param.name, param.value) == _NO_TEST:
        return f"--no-{option[2:]}"
    value = "none" if param.value is None else str(param.value)
    return f"{option} {shlex.quote(value)}"


def command(name: str, words: Iterable[str | Param] = ()) -> str:
    """Return a command of mfcli: its name, then arguments and options, quoted for a shell."""
    texts = (spelled(word) if isinstance(word, Param) else shlex.quote(word) for word in words)
    return " ".join([f"mfcli {name}", *texts])

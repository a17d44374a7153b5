"""How the command line spells the parameters that messages refer to."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from mfcli.config import CONFIG_FILE
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


def help_text(text: str) -> str:
    """Spell the settings in a help text, which are in backticks."""
    return re.sub(r"`(\w+)`", lambda match: option_of(match[1]), text)


def training_command(path: Path) -> str:
    """Return the command that trains with a settings file."""
    return "mfcli train" + ("" if path == CONFIG_FILE else f" --config {shlex.quote(str(path))}")

"""Settings files as mfcli itself writes them: TOML with a reason above each setting."""

from __future__ import annotations

import json
import shlex
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from mfcli.config.settings import CONFIG_FILE, checked
from mfcli.errors import ArtifactError
from mfcli.storage import check_writable_file, replacing_file

_WIDTH = 88  # columns of a comment


class Setting(NamedTuple):
    """A setting and why it is so; without a reason, no comment is written."""

    name: str
    value: Any
    reason: str = ""


def settings_text(title: str, settings: Iterable[Setting]) -> str:
    """Write settings as TOML that `Config.load` reads."""
    blocks = [_comment(title)]
    for name, value, reason in settings:
        line = f"{name} = {json.dumps(checked(name, value))}"
        blocks.append(f"{_comment(reason)}\n{line}" if reason else line)
    return "\n\n".join(blocks) + "\n"


def _comment(text: str) -> str:
    return "\n".join(f"# {line}" for line in textwrap.wrap(text, _WIDTH))


def check_new(path: Path, force: bool) -> None:
    """Refuse to write over a settings file.

    Raises
    ------
    ArtifactError
    """
    if path.exists() and not force:
        raise ArtifactError(f"{path}: is there already; choose another --out, or --force")
    check_writable_file(path)


def write_settings(path: Path, text: str) -> None:
    """Write a settings file, whole or not at all.

    Raises
    ------
    ArtifactError
        If it cannot be written.
    """
    with replacing_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def command_with(path: Path) -> str:
    """Return the command that trains with a settings file."""
    return "mfcli train" + ("" if path == CONFIG_FILE else f" --config {shlex.quote(str(path))}")

"""How the command line spells the parameters that messages refer to."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from mfcli.config import CONFIG_FILE
from mfcli.spelling import option_of as option_of, spelled as spelled


def help_text(text: str) -> str:
    """Spell the settings in a help text, which are in backticks."""
    return re.sub(r"`(\w+)`", lambda match: option_of(match[1]), text)


def training_command(path: Path) -> str:
    """Return the command that trains with a settings file."""
    return "mfcli train" + ("" if path == CONFIG_FILE else f" --config {shlex.quote(str(path))}")

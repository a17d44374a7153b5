"""`mfcli init`."""

from __future__ import annotations

from pathlib import Path

from mfcli.cli import output
from mfcli.cli.options import AsJson, Force, SettingsOut, SplitFolder
from mfcli.config import CONFIG_FILE


def init(
    split: SplitFolder = Path("split"),
    out: SettingsOut = CONFIG_FILE,
    force: Force = False,
    json: AsJson = False,
) -> None:
    """Write settings recommended for a split, each with its reason."""
    from mfcli.config import check_new, settings_text, training_command, write_settings
    from mfcli.search import advise, title_of
    from mfcli.splits import folds_of, read_split

    check_new(out, force)
    parts = read_split(next(iter(folds_of(split)), split))
    settings = advise(parts)
    text = settings_text(title_of(parts), settings)
    write_settings(out, text)
    result = {"settings": {name: value for name, value, _ in settings}, "file": str(out)}
    output.show(result, json, lambda: print(f"{text}\n{out}: next: {training_command(out)}"))

"""The settings of each training, and how they differ from the defaults and from each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mfcli.config import SETTINGS, value_text
from mfcli.reports.blocks import Block, Missing, Row, Section, Table
from mfcli.reports.runs import Run
from mfcli.show import changed, defaults_beside
from mfcli.spelling import command

_LEAD = "All settings that the training used. Bold values differ from the defaults."
_SEVERAL = " Rows in which the runs differ have a bar at the left."


def settings_section(runs: Sequence[Run]) -> Section:
    """List the settings of all runs side by side."""
    known = [run for run in runs if run.settings]
    missing = [
        Missing(f"The settings of {run.name} are not known, without a model or metrics.",
                command("train", run.places("out")))
        for run in runs
        if not run.settings
    ]  # fmt: skip
    blocks: list[Block] = [*missing, *([_table(known)] if known else [])]
    return Section("settings", "Settings", _LEAD + (_SEVERAL if len(known) > 1 else ""), blocks)


def _table(runs: Sequence[Run]) -> Table:
    settings = [run.settings for run in runs]
    unusual = [set(changed(one)) for one in settings]
    defaults = [defaults_beside(one) for one in settings]
    used = {name for one in settings for name in one}
    names = [name for name in SETTINGS if name in used] + sorted(used - SETTINGS.keys())
    rows = []
    for name in names:
        own = next(d for one, d in zip(settings, defaults, strict=True) if name in one)
        cells = [_text(one[name]) if name in one else "-" for one in settings]
        rows.append(
            Row(
                name,
                [*cells, _default(name, own)],
                note=_help(name),
                strong=[n for n, one in enumerate(unusual) if name in one],
                # Not if some runs do not use it, and all others have its default.
                differs=len(set(cells)) > 1 and any(name in one for one in unusual),
            )
        )
    columns = ["setting", *(run.name for run in runs), "default"]
    return Table("Settings of the training", columns, rows)


def _default(name: str, defaults: dict[str, Any]) -> str:
    if name not in SETTINGS:  # of another version of mfcli
        return "-"
    value = defaults[name]
    return "not set" if value is None else _text(value)


def _text(value: Any) -> str:
    return "yes" if value is True else "no" if value is False else value_text(value)


def _help(name: str) -> str:
    """Return what a setting is, and what it stands for if it is not set."""
    if name not in SETTINGS:
        return ""
    known = SETTINGS[name]
    unset = f" If not set: {known.unset}." if known.unset else ""
    return (known.help + unset).replace("`", "")

"""`mfcli init`."""

from __future__ import annotations

from pathlib import Path

from mfcli import config, search, splits
from mfcli.cli.screen import JsonOption
from mfcli.cli.setting_options import note_overriding
from mfcli.cli.shared_options import Force, Purpose, SettingsFile, SplitFolder
from mfcli.cli.spelling import training_command
from mfcli.cli.streams import print_line

_WRITER = "mfcli init"


def init(
    screen: JsonOption,
    split: SplitFolder = Path("split"),
    purpose: Purpose = None,
    out: SettingsFile = config.CONFIG_FILE,
    force: Force = False,
) -> None:
    """Write a settings file with recommended settings for a split.

    For ratings: Gibbs sampling, measured by the RMSE. For ranking: alternating least squares that
    also learns from unrated pairs, measured by NDCG; the scores of such a model rank items and are
    not ratings. Events and play counts can only be ranked.
    """
    config.check_settings_file(out, [_WRITER], force)
    # Folds have most of their training ratings in common, so the first one is enough.
    parts = splits.read_split(next(iter(splits.folds_of(split)), split))
    purpose = search.purpose_of(parts, config.DEFAULTS, purpose)
    advice = search.advise(parts, purpose)
    text = config.settings_text(search.title_of(parts, purpose), advice)
    config.write_settings(out, text, _WRITER, replaces=[_WRITER], force=force)
    settings = {name: value for name, value, _ in advice}
    screen.show({"settings": settings, "file": str(out)}, lambda: _print(text, out))
    note_overriding(settings, out)


def _print(text: str, out: Path) -> None:
    for line in f"{text}\nwrote {out}; next: {training_command(out)}".split("\n"):
        print_line(line)

"""Describe all settings: their values, and where these come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mfcli.config import SETTINGS, Config

DEFAULT = "default"


def described_settings(config: Config, origins: Mapping[str, str]) -> list[dict[str, Any]]:
    """Describe the settings of a config, those with another value than the default included.

    Parameters
    ----------
    config : Config
    origins : mapping of str
        Where values come from, by the names of the settings; "default" for all others.

    Returns
    -------
    list of dict
        By setting: its `name`, `stages`, `value` and `default`; `changed`, whether they differ;
        `from`; `effective`, the value, or what None stands for as far as the other settings tell;
        `unset`, what None stands for in words, empty unless the value is None; `unused_because`,
        the name and the value of a setting that makes it useless in all stages, or None.
    """
    return [
        {
            "name": name,
            "stages": [*known.stages],
            "value": getattr(config, name),
            "default": known.default,
            "changed": getattr(config, name) != known.default,
            "from": origins.get(name, DEFAULT),
            "effective": config.effective(name),
            "unset": known.unset.replace("`", "") if getattr(config, name) is None else "",
            "unused_because": _obstacle(config, name),
        }
        for name, known in SETTINGS.items()
    ]


def _obstacle(config: Config, name: str) -> dict[str, Any] | None:
    other = SETTINGS[name].obstacle(config)
    return {other: getattr(config, other)} if other else None

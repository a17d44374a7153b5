"""What is known about each setting: type, default, rule, help text, and when it is used."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from mfcli.config.rules import Rule
from mfcli.errors import ConfigError

DATA, SPLIT, TRAINING, EVALUATION = STAGES = ("data", "split", "training", "evaluation")
"""The stages that a setting may belong to."""

Conditions: TypeAlias = dict[str, Callable[[Any], bool]]
"""Conditions on a `Config`, by the setting that an error names if the condition does not hold."""

_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}
_BITS = 128  # of a whole number; NumPy takes no larger seed


@dataclass(frozen=True)
class Setting:
    """What is known about a setting.

    Attributes
    ----------
    name : str
    type : type
        int, float, bool or str.
    default : object
    help : str
        One sentence. Names of other settings are in backticks.
    unset : str
        What None stands for; empty if the setting cannot be None.
    rule : Rule
    panel : str
        Heading under which help lists it.
    conditions : mapping of Conditions
        By stage that uses the setting: what must hold for the setting to have an effect there.
    contradicts : str
        A name in `conditions`. If its condition does not hold, a `Config` refuses values other
        than the default; all other unused values are ignored.
    ends_training : bool
        Whether it only determines when training ends, so that a resumed training may change it.
    several : bool
        Whether it may also be a sequence of different values, which becomes a tuple.
    """

    name: str
    type: type
    default: Any
    help: str
    unset: str
    rule: Rule
    panel: str
    conditions: Mapping[str, Conditions]
    contradicts: str
    ends_training: bool
    several: bool

    @property
    def stages(self) -> tuple[str, ...]:
        """The `STAGES` that may use the setting."""
        return tuple(self.conditions)

    def is_used(self, config: Any, stage: str) -> bool:
        """Return whether a stage uses the setting, given the other settings."""
        return stage in self.conditions and not self._obstacle(config, stage)

    def obstacle(self, config: Any, *stages: str) -> str:
        """Return the other setting because of which no stage uses this one; empty if one does.

        Parameters
        ----------
        config : Config
        *stages : str
            Of `stages`; by default all of them.
        """
        obstacles = [self._obstacle(config, stage) for stage in stages or self.conditions]
        # One stage that uses the setting is enough: seed, for instance, belongs to three.
        return obstacles[0] if all(obstacles) else ""

    def _obstacle(self, config: Any, stage: str) -> str:
        conditions = self.conditions[stage].items()
        return next((name for name, holds in conditions if not holds(config)), "")

    def checked(self, value: Any) -> Any:
        """Return a value, converted to the type of the setting.

        Raises
        ------
        ConfigError
            If the type is wrong or the value breaks the rule.
        """
        if value is None and self.unset:
            return None
        if hasattr(value, "tolist"):
            value = value.tolist()  # a number or an array of NumPy
        if self.several and isinstance(value, list | tuple):
            return self._checked_several(value)
        return self._checked_one(value)

    def _checked_several(self, values: Sequence[Any]) -> Any:
        """Return the different values as a tuple; one value is returned as it is."""
        if not values:
            raise ConfigError("must have at least one value", param=self.name)
        different = tuple(dict.fromkeys(map(self._checked_one, values)))
        return different if len(different) > 1 else different[0]

    def _checked_one(self, value: Any) -> Any:
        if self.type is str and isinstance(value, datetime.date):
            value = value.isoformat()  # TOML has dates
        if type(value) is int and value.bit_length() > _BITS:
            raise ConfigError(f"must have at most {_BITS} bits", param=self.name, value=value)
        # A whole number is a number, too. The other way around, digits would be lost.
        if self.type is float and type(value) is int:
            value = float(value)
        # `isinstance` would accept true as a whole number.
        if type(value) is not self.type:
            words = str(self.rule) if self.rule.duration else _WORDS[self.type]
            rule = f"must be {words}{' or a list of them' if self.several else ''}"
            raise ConfigError(rule, param=self.name, value=value)
        if not self.rule.allows(value):
            raise ConfigError(f"must be {str(self.rule) or 'finite'}", param=self.name, value=value)
        return value

    def parsed(self, text: str) -> Any:
        """Return the value that a text stands for; "none" is None for settings that can be None.

        Raises
        ------
        ConfigError
            As `checked`.
        """
        if self.unset and text.lower() == "none":
            return None
        if self.several and "," in text:
            return self.checked([self._read(part.strip()) for part in text.split(",")])
        return self.checked(self._read(text))

    def _read(self, text: str) -> Any:
        """Return a value of the type of the setting, or the text, which `checked` refuses."""
        if self.type is bool:
            word = text.strip().lower()
            return True if word in _TRUE else False if word in _FALSE else text
        try:
            return self.type(text)
        except ValueError:
            return text


def setting(
    default: Any,
    help: str,
    stages: str | Mapping[str, Conditions],
    panel: str,
    *,
    unset: str = "",
    when: Conditions | None = None,
    contradicts: str = "",
    ends_training: bool = False,
    several: bool = False,
    **rule: Any,
) -> Any:
    """Declare a field of `Config` as a setting.

    The arguments are attributes of `Setting`, but for `stages` and `when`, which give the
    conditions (`stages` is either a mapping, or one stage with the conditions `when`), and for
    the arguments of `Rule`.
    """
    metadata = {
        "help": help,
        "unset": unset,
        "rule": Rule(**rule),
        "panel": panel,
        "conditions": {stages: when or {}} if isinstance(stages, str) else stages,
        "contradicts": contradicts,
        "ends_training": ends_training,
        "several": several,
    }
    return dataclasses.field(default=default, metadata=metadata)

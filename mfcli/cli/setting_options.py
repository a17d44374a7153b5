"""Options of the settings, made from what `SETTINGS` knows about each."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from mfcli import config as configs, data  # loaded when they are used
from mfcli.cli.spelling import help_text, option_of, spelled
from mfcli.cli.streams import print_message
from mfcli.config import (
    CONFIG_FILE,
    SETTINGS,
    STAGES,
    TRAINING,
    Config,
    settings_in,
    value_text,
)
from mfcli.errors import ConfigError, Param, UsageError

_METAVARS = {int: "INT", float: "FLOAT", str: "NAME", bool: ""}
_SPECIAL_METAVARS = {"cut": "DATE", "decimal": "CHAR", "at": "INT,..."}


class SettingOption(NamedTuple):
    """A setting that a command takes as an option.

    Attributes
    ----------
    name : str
    panel : str
        Heading under which help lists it.
    or_file : bool
        Whether a text that is not a number is the name of a file.
    help, default : str
        Texts for help that replace those of the setting; not used if empty.
    """

    name: str
    panel: str
    or_file: bool = False
    help: str = ""
    default: str = ""


@dataclass(frozen=True)
class Settings:
    """The settings of a command: defaults, then the file, the environment, and the options.

    Attributes
    ----------
    values : dict
        The settings that are on the command line, in the environment or in the settings file.
    options : list of str
        Names of the settings that are on the command line.
    file : str or None
        The file that was given in place of a setting.
    source : Path or None
        The settings file, if there is one.
    environment : frozenset of str
        Names of the settings whose values are those of environment variables.
    """

    values: dict[str, Any]
    options: list[str]
    file: str | None = None
    source: Path | None = None
    environment: frozenset[str] = frozenset()

    @functools.cached_property
    def config(self) -> Config:
        """All settings; those that are not given have their defaults.

        Raises
        ------
        UsageError
            If they contradict each other.
        ConfigError
            If they do, and none of them is an option.
        """
        try:
            return Config(**self.values)
        except ConfigError as error:
            kind = UsageError if self.options else ConfigError
            raise kind(error.phrase(self._spelled)) from None

    def changed(self, **values: Any) -> Settings:
        """Return the same settings with values that other options stand for."""
        return replace(
            self,
            values=self.values | values,
            options=[*self.options, *values],
            environment=self.environment - values.keys(),
        )

    def apart_from_environment(self) -> Settings:
        """Return the same settings without those whose values are in the environment."""
        values = {n: value for n, value in self.values.items() if n not in self.environment}
        return replace(self, values=values, environment=frozenset())

    def _spelled(self, param: Param) -> str:
        """Spell a parameter as an option, or name the variable or the file that it comes from."""
        if param.name in self.environment:
            variable = configs.variable_of(param.name)
            if not param.has_value:
                return variable
            if param.value == self.values[param.name]:
                return f"{variable}={value_text(param.value)}"
        in_file = param.name in self.values and param.name not in self.options
        if in_file and not param.has_value:
            return f"{param.name} in {self.source}"
        as_typed = spelled(Param(param.name, self.values.get(param.name)))
        if not param.has_value and as_typed.startswith("--no-"):  # --no-biases
            return as_typed
        return spelled(param)

    def refuse_unused(self, *stages: str) -> None:
        """Refuse options that have no effect because of the other settings.

        Parameters
        ----------
        *stages : str
            That the command runs, if its options belong to other stages, too.

        Raises
        ------
        UsageError
        """
        try:
            for name in self.options:
                self.config.refuse_unused(name, *stages)
        except ConfigError as error:
            raise UsageError(error.phrase(self._spelled)) from None


NO_SETTINGS = Settings({}, [])


def setting_options(names: Iterable[str], panel: str = "") -> list[SettingOption]:
    """List settings by name, and all settings of each stage that is named.

    Parameters
    ----------
    names : iterable of str
        Of settings or stages.
    panel : str
        Heading for all of them; if empty, each has the heading of its stage.
    """
    return [
        SettingOption(one, panel or _panel(one, name))
        for name in names
        for one in (settings_in(name) if name in STAGES else [name])
    ]


def _panel(name: str, stage: str) -> str:
    """Return the heading of a setting; that of the stage if the setting belongs to several."""
    is_shared = len(SETTINGS[name].stages) > 1 and stage in STAGES and stage != TRAINING
    return stage.capitalize() if is_shared else SETTINGS[name].panel


@functools.cache  # commands share settings
def setting_parameter(option: SettingOption) -> inspect.Parameter:
    """Return the parameter of a setting: None, or the text that is on the command line."""
    setting = SETTINGS[option.name]
    flag, choices = option_of(option.name), list(setting.rule.choices)
    is_flag = setting.type is bool
    metavar = _SPECIAL_METAVARS.get(option.name, _METAVARS[setting.type])
    info = typer.Option(
        f"{flag}/--no-{flag[2:]}" if is_flag else flag,
        help=option.help or help_text(setting.help),
        metavar=f"{metavar}|FILE" if option.or_file else metavar,
        # A completion, not a choice of Typer, so that the rule of the setting gives the error.
        autocompletion=(lambda: choices) if choices else None,
        show_default=option.default or help_text(setting.unset) or _shown(setting.default) or False,
        rich_help_panel=option.panel,
    )
    # None marks options that are not given, which the settings file may set. No option has this
    # value. Texts are parsed by `Setting`, so that a file and an option follow the same rule.
    kind = inspect.Parameter.KEYWORD_ONLY
    type_ = Annotated[bool | None, info] if is_flag else Annotated[str | None, info]
    return inspect.Parameter(option.name, kind, default=None, annotation=type_)


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return "on" if default else ""
    return f"{default:g}" if isinstance(default, float) else str(default)


def read_options(
    options: Iterable[SettingOption],
    values: Mapping[str, Any],
    file: Path | None,
    others: Collection[str] = (),
) -> Settings:
    """Read the settings file, the environment and the options.

    Parameters
    ----------
    options : iterable of SettingOption
    values : mapping
        By name, the text of each option, a bool for flags; None if it is not given.
    file : Path, optional
        By default `CONFIG_FILE`, if there is one.
    others : collection of str
        Names of the parameters of the command that are no settings.

    Raises
    ------
    ConfigError
        If the file or a variable is invalid.
    UsageError
        If an option is.
    """
    if file is None and CONFIG_FILE.is_file():
        file = CONFIG_FILE
    base = configs.read_settings(file) if file else {}
    variables = configs.read_environment(os.environ, others)
    texts = {one.name: values[one.name] for one in options if values[one.name] is not None}
    files = [one.name for one in options if one.or_file and not _is_number(texts.get(one.name))]
    file_in_place = texts.pop(files[0]) if files else None
    try:
        parsed = {name: _parsed(name, text) for name, text in texts.items()}
    except ConfigError as error:
        raise UsageError(error.phrase(spelled)) from None
    if not _agree(base | variables | parsed):
        # The command ignores variables of other stages, so that they cannot disturb it either.
        own = {one.name for one in options}
        some = {name: value for name, value in variables.items() if name in own}
        variables = some if _agree(base | some | parsed) else variables
    return Settings(
        base | variables | parsed,
        list(parsed),
        file_in_place,
        file,
        frozenset(variables.keys() - parsed.keys()),
    )


def note_overriding(names: Iterable[str], file: Path) -> None:
    """Name the environment variables that override settings of a file that was just written."""
    for name in names:
        variable = configs.variable_of(name)
        if os.environ.get(variable):
            print_message("note", f"the environment variable {variable} overrides {name} in {file}")


def _agree(values: Mapping[str, Any]) -> bool:
    try:
        Config(**values)
    except ConfigError:
        return False
    return True


def _parsed(name: str, text: str | bool) -> Any:
    return text if isinstance(text, bool) else SETTINGS[name].parsed(text)


def _is_number(text: str | None) -> bool:
    return not text or data.is_number(text, ".")

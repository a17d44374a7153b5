"""How a command gets its options from its signature.

A parameter that is annotated with a `Group` stands for several options, which arrive as one
object::

    def check(
        ratings: Annotated[list[str], typer.Argument(help="...")],
        settings: Annotated[Settings, SettingsGroup("k", "reg", panel="Training cost")],
        reading: ReadingOptions,
        screen: ScreenOptions,
    ) -> None: ...

`with_options` makes the function that Typer sees, with one parameter per option. An option that is
annotated with a `Place` may be an address in an object store; the command gets a local path.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeAlias, cast, get_args, get_type_hints

import typer
from typer.models import ParameterInfo

from mfcli.cli.places import Place, as_paths, copy_addresses
from mfcli.cli.setting_options import (
    NO_SETTINGS,
    SettingOption,
    Settings,
    read_options,
    setting_options,
    setting_parameter,
)
from mfcli.config import CONFIG_FILE
from mfcli.errors import Param, UsageError

FILES = "Input and output"
"""Panel of files, folders and formats."""

Command: TypeAlias = Callable[..., None]


class Call(NamedTuple):
    """A command line.

    Attributes
    ----------
    given : frozenset of str
        Names of the parameters that are on it.
    settings : Settings
    """

    given: frozenset[str]
    settings: Settings


class Group(ABC):
    """Several options that a command takes as one object."""

    settings: Collection[SettingOption] = ()
    """Settings among the options."""

    def parameters(self) -> list[inspect.Parameter]:
        """Return the other options."""
        return []

    @abstractmethod
    def collect(self, call: Call, values: dict[str, Any]) -> Any:
        """Make the object from the values of `parameters`."""


class SettingsGroup(Group):
    """Settings, which arrive as `Settings`.

    Parameters
    ----------
    *names : str
        Of settings, or of stages for all settings of a stage.
    panel : str
        Heading for all of them; if empty, each has its own.
    changes : mapping
        Fields of `SettingOption` that differ for some settings, by name.
    may_be_unused : bool
        Do not refuse options that have no effect because of the other settings.
    """

    def __init__(
        self,
        *names: str,
        panel: str = "",
        changes: Mapping[str, Mapping[str, Any]] | None = None,
        may_be_unused: bool = False,
    ) -> None:
        self.settings = [
            option._replace(**(changes or {}).get(option.name, {}))
            for option in setting_options(names, panel)
        ]
        self._may_be_unused = may_be_unused

    def collect(self, call: Call, values: dict[str, Any]) -> Settings:
        if not self._may_be_unused:
            call.settings.refuse_unused()
        return call.settings


class FieldsGroup(Group):
    """The fields of a dataclass, each annotated with its option.

    Parameters
    ----------
    cls : type
    *names : str
        Of the fields; all by default. The others keep their defaults.
    """

    def __init__(self, cls: type, *names: str) -> None:
        self._cls, self._names = cls, names

    def parameters(self) -> list[inspect.Parameter]:
        # Annotations are texts in files with `from __future__ import annotations`.
        hints = get_type_hints(self._cls, include_extras=True)
        # Keyword-only, so that a parameter without a default may follow one with a default.
        kind = inspect.Parameter.KEYWORD_ONLY
        return [
            inspect.Parameter(field.name, kind, default=field.default, annotation=hints[field.name])
            for field in dataclasses.fields(self._cls)
            if not self._names or field.name in self._names
        ]

    def collect(self, call: Call, values: dict[str, Any]) -> Any:
        return self._cls(**values)


class _GivenGroup(Group):
    def collect(self, call: Call, values: dict[str, Any]) -> frozenset[str]:
        return call.given


Given = Annotated[frozenset[str], _GivenGroup()]
"""Names of the parameters that are on the command line."""


_CONFIG = inspect.Parameter(
    "config",
    inspect.Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="Settings file (TOML). Variables such as MFCLI_K=20 override it, and options"
            " override both.",
            show_default=f"{CONFIG_FILE} if it exists",
            rich_help_panel=FILES,
        ),
    ],
)
_CONTEXT = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
_LAST_PANELS = ("Data", "Run", FILES)
_LAST = ("config", "json", "quiet")


def with_options(command: Command) -> Command:
    """Return the function that Typer makes a command of.

    It has one parameter per option; those of groups are collected before `command` is called.
    """
    groups: dict[str, Group] = {}
    parameters: list[inspect.Parameter] = []
    settings: list[SettingOption] = []
    # `eval_str`: annotations are texts because of `from __future__ import annotations`.
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        group = _group_of(parameter)
        if group:
            groups[parameter.name] = group
            settings += group.settings
            parameters += [*group.parameters(), *map(setting_parameter, group.settings)]
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
    if settings:
        parameters.append(_CONFIG)

    places = {parameter.name: place for parameter in parameters if (place := _place_of(parameter))}

    def run(ctx: typer.Context, **values: Any) -> None:
        as_paths(values, places)
        _refuse_input_as_output(values)  # before anything is read or written
        file = values.pop(_CONFIG.name, None)
        options = {option.name: values.pop(option.name) for option in settings}
        read = read_options(settings, options, file, others=ctx.params) if settings else None
        call = Call(_given(ctx), read or NO_SETTINGS)
        with ExitStack() as stack:
            if places:  # their commands have a screen
                screen = _collected(groups["screen"], call, values)
                copy_addresses(values, places, screen.byte_bar, stack)
            collected = {name: _collected(group, call, values) for name, group in groups.items()}
            for group in groups.values():
                for parameter in group.parameters():
                    del values[parameter.name]
            command(**values, **collected)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    shown = [_CONTEXT, *map(_styled, sorted(parameters, key=_rank))]
    run.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]  # functions have it
    # Typer reads annotations apart from the signature, so both are set.
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    return run


def _collected(group: Group, call: Call, values: Mapping[str, Any]) -> Any:
    return group.collect(call, {one.name: values[one.name] for one in group.parameters()})


def _refuse_input_as_output(values: Mapping[str, Any]) -> None:
    """Refuse to write the result to a file that the same command reads."""
    out = values.get("out")
    if not isinstance(out, Path):
        return
    for name, value in values.items():
        # A text may be an id or a path; it counts as an input only if it names this very file.
        for entry in value if isinstance(value, (list, tuple)) else [value]:
            if name != "out" and isinstance(entry, (str, Path)) and _is_same_file(entry, out):
                rule = "is read by this command, so it cannot be written"
                raise UsageError(rule, place=out, remedy=["use another ", Param("out")])


def _is_same_file(one: Path | str, other: Path) -> bool:
    try:
        return other.is_file() and other.samefile(one)  # by inode: links and spellings count
    except (OSError, ValueError):
        return False


def _group_of(parameter: inspect.Parameter) -> Group | None:
    return next((one for one in get_args(parameter.annotation) if isinstance(one, Group)), None)


def _place_of(parameter: inspect.Parameter) -> Place | None:
    return next((one for one in get_args(parameter.annotation) if isinstance(one, Place)), None)


def _given(ctx: typer.Context) -> frozenset[str]:
    # A value that equals the default may also be given; only the source tells.
    sources = {name: ctx.get_parameter_source(name) for name in ctx.params}
    return frozenset(n for n, source in sources.items() if source and source.name == "COMMANDLINE")


def _rank(parameter: inspect.Parameter) -> tuple[int, int]:
    """Return a key that puts the panels and options that most commands share last."""
    panel, name = _info(parameter).rich_help_panel, parameter.name
    return (
        _LAST_PANELS.index(panel) + 1 if panel in _LAST_PANELS else 0,
        _LAST.index(name) + 1 if name in _LAST else 0,
    )


def _info(parameter: inspect.Parameter) -> ParameterInfo:
    return next(one for one in get_args(parameter.annotation) if isinstance(one, ParameterInfo))


@functools.cache  # commands share options
def _styled(parameter: inspect.Parameter) -> inspect.Parameter:
    """Put the default into the help text, which wraps better than a column of defaults."""
    # A copy, because commands share options such as `Threads`.
    type_, info = get_args(parameter.annotation)[0], copy.copy(_info(parameter))
    default = info.show_default if isinstance(info.show_default, str) else parameter.default
    if str(default) and default not in (None, False, inspect.Parameter.empty):
        info.help = f"{info.help} [default: {default}]"
    info.show_default = False
    # Typer would show the bound in an extra column.
    if info.min is not None:
        info.callback, info.min = _at_least(parameter.name, info.min), None
    if info.metavar is None:
        info.metavar = "INT" if int in (type_, *get_args(type_)) else ""
    if _place_of(parameter):
        given = parameter.default
        type_ = str | None if given is None else str  # a path would change an address
        parameter = parameter.replace(default=None if given is None else str(given))
    annotation = cast(Any, Annotated)[type_, info]
    return parameter.replace(annotation=annotation)


def _at_least(name: str, low: float) -> Callable[[Any], Any]:
    """Return a callback that checks a bound."""

    def check(value: Any) -> Any:
        if value is not None and not value >= low:  # NaN is not at least anything
            raise UsageError(f"must be at least {low:g}", param=name, value=value)
        return value

    return check

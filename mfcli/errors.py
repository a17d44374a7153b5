"""Errors, grouped by who can fix them.

    MfcliError
    ├── UsageError      the command line, or an argument of Python; exit status 2
    ├── ConfigError     a setting, or the file that it comes from
    ├── DataError       a file or table of ratings
    ├── UnknownIdError  a user or an item that the model does not know
    ├── ArtifactError   a file that mfcli reads or writes: split, model, history, metrics, ...
    ├── LimitError      the machine: not enough memory
    ├── ClusterError    the cluster, or code that fails in its workers
    └── TrainingError   the training itself

`MfcliWarning` reports data that was read, but perhaps not as intended.

A message is one line: place, rule, value, remedy.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias


class _Missing:
    """No value; not None, which may be the value that breaks a rule."""

    def __reduce__(self) -> str:
        return "_MISSING"  # the same object after pickling, as when an error leaves a process


_MISSING: Any = _Missing()


@dataclass(frozen=True)
class Param:
    """A setting or an argument that a message refers to.

    Python and the command line spell it differently: `lr=0.1` and `--lr 0.1`.

    Attributes
    ----------
    name : str
        As in Python; ``"columns.timestamp"`` is the entry "timestamp" of the argument `columns`.
    value : object, optional
        A value to give it.
    """

    name: str
    value: Any = _MISSING

    @property
    def has_value(self) -> bool:
        return self.value is not _MISSING

    def __str__(self) -> str:
        """Spell the parameter as in Python."""
        name, _, key = self.name.partition(".")
        if key:
            return f"{name}={{{key!r}: {self.value!r}}}" if self.has_value else f"{name}[{key!r}]"
        return f"{name}={self.value!r}" if self.has_value else name


Text: TypeAlias = "str | Param | Sequence[Text]"
"""A text, or its pieces in order; parameters are spelled when the text is shown."""

Spell: TypeAlias = Callable[[Param], str]


def phrased(text: Text, spell: Spell) -> str:
    """Return a text with its parameters spelled."""
    if isinstance(text, str):  # before sequences: a str is one too
        return text
    if isinstance(text, Param):
        return spell(text)
    return "".join(phrased(piece, spell) for piece in text)


def params_in(text: Text) -> Iterator[Param]:
    """Yield the parameters of a text."""
    if isinstance(text, Param):
        yield text
    elif not isinstance(text, str):
        for piece in text:
            yield from params_in(piece)


class Message(Exception):
    """A message in parts.

    ``str(message)`` spells parameters as in Python; `phrase` takes another spelling.

    Parameters
    ----------
    rule : Text
        What must hold, or what is wrong.
    place : object, optional
        Where: a file, a file and a line, ...
    param : Param or str, optional
        The parameter that breaks the rule.
    value : object, optional
        The value that breaks it.
    remedy : Text, optional
        What to do.

    Examples
    --------
    >>> str(ConfigError("must be at least 1", param="k", value=0))
    'k must be at least 1, got 0'
    >>> str(DataError("has no times", place="a.csv", remedy=["use ", Param("strategy", "random")]))
    "a.csv: has no times; use strategy='random'"
    """

    def __init__(
        self,
        rule: Text,
        *,
        place: object = None,
        param: Param | str | None = None,
        value: object = _MISSING,
        remedy: Text = "",
    ) -> None:
        super().__init__(rule)  # `args` of the exception; `__str__` adds the other parts
        self.rule, self.place, self.value, self.remedy = rule, place, value, remedy
        self.param = Param(param) if isinstance(param, str) else param

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors leave the workers of a cluster; subclasses have other arguments.
        return _restored, (type(self), self.args, vars(self))

    def __str__(self) -> str:
        return self.phrase(str)

    def phrase(self, spell: Spell) -> str:
        """Return the message in one line.

        Parameters
        ----------
        spell : callable
            Spells a parameter.
        """
        place = "" if self.place is None else f"{self.place}: "
        name = f"{spell(self.param)} " if self.param else ""
        value = "" if self.value is _MISSING else f", got {_shown(self.value)}"
        remedy = phrased(self.remedy, spell)
        text = f"{place}{name}{phrased(self.rule, spell)}{value}"
        return f"{text}; {remedy}" if remedy else text


def _restored(kind: type[Message], args: tuple[Any, ...], values: dict[str, Any]) -> Message:
    """Return a message that was pickled."""
    made = kind.__new__(kind, *args)
    vars(made).update(values)
    return made


def _shown(value: object) -> str:
    try:
        return repr(value)
    except ValueError:  # Python refuses to write integers of more than 4300 digits
        return "an integer with too many digits"


class MfcliError(Message):
    """Base class of all errors that a user can fix."""

    exit_code = 1


class UsageError(MfcliError):
    """The command line, or an argument in Python, asks for something impossible."""

    exit_code = 2


class ConfigError(MfcliError):
    """A setting breaks its rule, or a settings file cannot be read."""


class DataError(MfcliError):
    """A file or table of ratings is missing, unreadable or breaks a rule."""


class UnknownIdError(MfcliError):
    """A user or an item is not in the model's vocabulary."""


class ArtifactError(MfcliError):
    """A split, model, history or metrics file is missing, damaged, newer or cannot be written."""


class LimitError(MfcliError):
    """The work needs more memory than is available."""


class ClusterError(MfcliError):
    """A cluster cannot be reached or used, or has lost too much."""


class TrainingError(MfcliError):
    """Training cannot continue."""


class MfcliWarning(Message, UserWarning):
    """Data was read, but perhaps not as intended."""


def warn(rule: Text, *, place: object = None, value: object = _MISSING, remedy: Text = "") -> None:
    """Issue an `MfcliWarning`; the command line prints it in one line on stderr.

    Parameters
    ----------
    rule, place, value, remedy
        As in `Message`.
    """
    warnings.warn(MfcliWarning(rule, place=place, value=value, remedy=remedy), stacklevel=2)

"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mfcli.arguments import check_fraction
from mfcli.cli.options import FILES
from mfcli.cli.places import MODEL, SPLIT
from mfcli.cli.spelling import option_of
from mfcli.errors import UsageError

if TYPE_CHECKING:
    from mfcli.model import Model

_SPLIT, _MODEL = "Split folder", "Model folder, or the folder of its run"


def _folder(option: str, help: str) -> Any:
    return typer.Option(option, metavar="DIR", help=help, rich_help_panel=FILES)


SplitFolder = Annotated[
    Path, _folder("--split", f"{_SPLIT}, or its address (s3://bucket/split)."), SPLIT
]
ModelFolder = Annotated[Path, _folder("--model", f"{_MODEL}; or its address."), MODEL]
LocalSplit = Annotated[Path, _folder("--split", f"{_SPLIT}.")]
LocalModel = Annotated[Path, _folder("--model", f"{_MODEL}.")]
"""For commands that replace them."""
Threads = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Number of threads. It does not change the result.",
        show_default="all cores",  # not their number: help must not depend on the machine
        rich_help_panel="Run",
    ),
]
SettingsFile = Annotated[
    Path,
    typer.Option("--out", metavar="FILE", help="Settings file to write.", rich_help_panel=FILES),
]
Purpose = Annotated[
    str | None,
    typer.Option(
        "--for",
        metavar="PURPOSE",
        help="What the model is for: ratings (predict them accurately) or ranking (recommend"
        " items).",
        show_default="ratings; ranking for implicit feedback",
        autocompletion=lambda: ["ratings", "ranking"],
        rich_help_panel="Purpose",
    ),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Overwrite settings that were edited or that other programs wrote.",
        rich_help_panel=FILES,
    ),
]


def one_of(name: str, *choices: str) -> Callable[[str], str]:
    """Return a callback that checks the value of an option."""

    def check(value: str) -> str:
        if value not in choices:
            *others, last = choices
            raise UsageError(f"must be {', '.join(others)} or {last}", param=name, value=value)
        return value

    return check


def fraction(name: str) -> Callable[[float], float]:
    """Return a callback that checks that the value of an option is from 0 to 1."""

    def check(value: float) -> float:
        check_fraction(value, name)
        return value

    return check


def refuse(given: Collection[str], names: Collection[str], context: str, remedy: str) -> None:
    """Refuse options that have no effect.

    Parameters
    ----------
    given : collection of str
        Names of the parameters that are on the command line.
    names : collection of str
        Those that have no effect.
    context : str
        Why, such as "with --extend".
    remedy : str

    Raises
    ------
    UsageError
    """
    for name in names:
        if name in given:
            raise UsageError(f"{option_of(name)} is not used {context}", remedy=remedy)


def refuse_clip(given: Collection[str], model: Model) -> None:
    """Refuse `--clip` for a model that predicts scores, which have no scale.

    Raises
    ------
    UsageError
    """
    if model.predicts == "scores":
        refuse(given, ["clip"], "for a model that predicts scores", "omit it")

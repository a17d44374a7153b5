"""The options `--memory` and `--temp`, which hold while a command runs."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from mfcli import storage
from mfcli.arguments import is_address
from mfcli.cli.added_options import add_options
from mfcli.cli.options import FILES, Command

_MEMORY = typer.Option(
    "--memory",
    metavar="SIZE",
    help="Most memory to use, such as 4GB; what does not fit goes through temporary files. It does"
    " not change the result.",
    show_default="what is free",
    rich_help_panel="Run",
)
_BESIDE, _SYSTEM = "next to the result", "that of the system"
_EITHER = "next to --out, or that of the system"


def within_limits(*, inside: bool = False) -> Callable[[Command], Command]:
    """Return a decorator that gives a command the options `--memory` and `--temp`.

    Parameters
    ----------
    inside : bool
        Whether the results are in the folder that `--out` names, which stays; otherwise they are
        next to each other, and temporary files go there too.
    """

    def limited(command: Command) -> Command:
        @functools.wraps(command)
        def run(*, memory: str | None, temp: Path | None, **values: Any) -> None:
            def on_space(need: int, folder: Path) -> None:
                size = storage.bytes_text(need)
                values["screen"].note(f"using about {size} of temporary space in {folder}")

            folder = temp or _folder_of_result(values, inside)
            with storage.resources(memory, folder, on_space=on_space):
                command(**values)

        add_options(run, command, _options(_default(inspect.signature(command))))
        return run

    return limited


def _default(signature: inspect.Signature) -> str:
    """Return where temporary files go by default, in words."""
    if "listing" in signature.parameters:  # which has the option --out
        return _EITHER
    out = signature.parameters.get("out")
    return _SYSTEM if out is None else (_EITHER if out.default is None else _BESIDE)


def _options(default: str) -> dict[str, Any]:
    temp = typer.Option(
        "--temp",
        metavar="DIR",
        help="Folder of temporary files, which are always removed.",
        show_default=default,
        rich_help_panel=FILES,
    )
    return {"memory": Annotated[str | None, _MEMORY], "temp": Annotated[Path | None, temp]}


def _folder_of_result(values: Mapping[str, Any], inside: bool) -> Path | None:
    """Return the folder that results are written to, or the nearest one that exists."""
    out = values.get("out") or getattr(values.get("listing"), "out", None)
    if out is None or str(out) == "-" or (out.exists() and not (out.is_file() or out.is_dir())):
        return None
    if is_address(storage.address_of(out)):
        return None
    path = out.absolute()
    folders = [path, *path.parents] if inside else path.parents
    return next((folder for folder in folders if folder.is_dir()), None)

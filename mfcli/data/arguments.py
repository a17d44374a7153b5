"""Check the arguments of `read_ratings` and `ratings_from`; the command line checks its options."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mfcli.config import checked
from mfcli.data.formats.columns import ROLES
from mfcli.errors import Param, UsageError


def check_reading(columns: Any, **settings: Any) -> None:
    """Check the argument `columns`, and settings of the data stage by name.

    Raises
    ------
    UsageError
        If `columns` is not a mapping of the roles to names.
    ConfigError
        If a setting breaks its rule.
    """
    for name, value in settings.items():
        checked(name, value)
    if columns is None:
        return
    if not isinstance(columns, Mapping):
        raise UsageError("must be a mapping", param="columns", value=columns)
    for role, name in columns.items():
        if role not in ROLES:
            close = difflib.get_close_matches(str(role), ROLES, n=1)
            raise UsageError(
                f"has no key {role!r}; its keys are {', '.join(ROLES)}",
                param="columns",
                remedy=f"did you mean {close[0]!r}?" if close else "",
            )
        if not isinstance(name, str):
            raise UsageError(
                "must be the name of a column, or its position as text",
                param=Param(f"columns.{role}"),
                value=name,
                # A position is text, since a column may also be named by a number.
                remedy="write it in quotes" if isinstance(name, int) else "",
            )


def listed_paths(names: Any, param: str = "names") -> list[Path | str]:
    """Return one path or several paths as a list.

    Raises
    ------
    UsageError
        If they are neither, or there are none.
    """
    # A str is iterable, so it is checked first.
    if isinstance(names, str | os.PathLike):
        return [Path(names) if isinstance(names, os.PathLike) else names]
    # Tables are iterable too: they yield the names of their columns.
    is_table = hasattr(names, "columns") or isinstance(names, Mapping)
    listed = list(names) if isinstance(names, Iterable) and not is_table else [names]
    for name in listed:
        if not isinstance(name, str | os.PathLike):
            raise UsageError(
                f"must be a path or several paths, got {type(name).__name__}",
                param=param,
                remedy="read a table in memory with ratings_from" if is_table else "",
            )
    if not listed:
        raise UsageError("must be a path or several paths, got none", param=param)
    return [Path(name) if isinstance(name, os.PathLike) else name for name in listed]

"""Options that a decorator gives to a command."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any


def add_options(
    run: Callable[..., None], command: Callable[..., None], options: Mapping[str, Any]
) -> None:
    """Give a function the signature of the command that it wraps, and more options.

    Parameters
    ----------
    run : callable
        Gets the signature.
    command : callable
    options : mapping of str to annotation
        The parameters to add, by name. None is their default.
    """
    signature = inspect.signature(command, eval_str=True)
    kind = inspect.Parameter.KEYWORD_ONLY
    added = [
        inspect.Parameter(name, kind, default=None, annotation=option)
        for name, option in options.items()
    ]
    parameters = [*signature.parameters.values(), *added]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # functions have it

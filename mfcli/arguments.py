"""Checks of arguments in Python; the command line checks its options."""

from __future__ import annotations

import numbers
import os
import re
from pathlib import Path
from typing import Any

from mfcli.errors import Text, UsageError

_ADDRESS = re.compile("[A-Za-z][A-Za-z0-9+.-]+://")  # two letters, unlike drives of Windows


def check_type(value: object, kind: type, param: str, remedy: Text = "") -> None:
    """Check the type of an argument.

    Raises
    ------
    UsageError
        If the value is not an instance of `kind`.
    """
    if not isinstance(value, kind):
        rule = f"must have the type {kind.__name__}, got {type(value).__name__}"
        raise UsageError(rule, param=param, remedy=remedy)


def check_count(value: Any, param: str, least: int) -> None:
    """Check that an argument is a whole number, of Python or NumPy, and not too small.

    Raises
    ------
    UsageError
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise UsageError("must be a whole number", param=param, value=value)
    if value < least:
        raise UsageError(f"must be at least {least}", param=param, value=value)


def check_fraction(value: Any, param: str) -> None:
    """Check that an argument is a number from 0 to 1, of Python or NumPy.

    Raises
    ------
    UsageError
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= float(value) <= 1:
        raise UsageError("must be a number from 0 to 1", param=param, value=value)


def check_probability(value: Any, param: str) -> None:
    """Check that an argument is a number above 0 and below 1, of Python or NumPy.

    Raises
    ------
    UsageError
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 < float(value) < 1:
        raise UsageError("must be above 0 and below 1", param=param, value=value)


def check_functions(**functions: Any) -> None:
    """Check that arguments can be called, such as `on_epoch`.

    Raises
    ------
    UsageError
    """
    for param, function in functions.items():
        if not callable(function):
            raise UsageError("must be a function", param=param, value=function)


def is_address(place: str) -> bool:
    """Return whether a text is the address of something in an object store, and not a path."""
    return bool(_ADDRESS.match(place))


def path_of(value: Any, param: str) -> Path:
    """Return the path that an argument names.

    Raises
    ------
    UsageError
        If it is neither text nor a path, or an address in an object store.
    """
    if not isinstance(value, str | os.PathLike):
        raise UsageError(f"must be a path, got {type(value).__name__}", param=param)
    if isinstance(value, str) and is_address(value):
        remedy = "copy it with mfcli.storage.local_copy"
        raise UsageError("must be a local path", param=param, value=value, remedy=remedy)
    return Path(value)

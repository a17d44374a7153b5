"""Measures that a caller defines as functions of ratings and predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np

from mfcli.errors import Param, UsageError
from mfcli.evaluation.measures import MEASURES, measure_of
from mfcli.types import Floats

Function: TypeAlias = Callable[[Floats, Floats], float]
"""Returns a measure, given the ratings and the predictions as float32 arrays of shape (n,)."""

Measures: TypeAlias = Mapping[str, str | Function] | Iterable[str | Function] | str | Function
"""Functions, or names as in `measure_of`; a mapping gives each its own name."""


def named_measures(measures: Measures) -> dict[str, str | Function]:
    """Return measures by name; a function without a given name has that of its definition.

    Raises
    ------
    UsageError
        If there are none, one is neither a function nor the name of a known measure, or two have
        one name.
    """
    if isinstance(measures, Mapping):
        named = [(str(name), one) for name, one in measures.items()]
    else:
        listed = [measures] if isinstance(measures, str) or callable(measures) else measures
        if not isinstance(listed, Iterable):
            raise UsageError("must be functions or names", param="measures", value=measures)
        named = [(_name(one), one) for one in listed]
    if not named:
        raise UsageError("must be at least one measure, got none", param="measures")
    for name, one in named:
        _check(name, one)
        if [other for other, _ in named].count(name) > 1:
            rule = f"has two measures with the name {name!r}"
            remedy = "give a mapping from names to functions"
            raise UsageError(rule, param="measures", remedy=remedy)
    return dict(named)


def measured(name: str, function: Function, truth: Floats, predictions: Floats) -> float:
    """Return the value of a function.

    Raises
    ------
    UsageError
        If it is not a finite number.
    """
    value: Any = function(truth, predictions)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        param = Param(f"measures.{name}")
        raise UsageError("must return a finite number", param=param, value=value)
    return number


def _name(measure: Any) -> str:
    return measure if isinstance(measure, str) else str(getattr(measure, "__name__", measure))


def _check(name: str, measure: Any) -> None:
    if callable(measure) or (isinstance(measure, str) and measure_of(measure)):
        return
    rule = f"must be a function of (truth, prediction), or one of {', '.join(MEASURES)}"
    raise UsageError(rule, param=Param(f"measures.{name}"), value=measure)

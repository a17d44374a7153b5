"""Histories of Keras, in the forms in which people save them as JSON.

Lists may have different lengths: with `validation_freq`, Keras validates only every few epochs, and
a training that is stopped may lack its last validation. Numbers may be texts, missing or not
finite.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mfcli.errors import ArtifactError, warn

HUGE = 1e30  # larger values cannot be plotted

_MOST = 1_000_000  # epochs
_NEEDED = ("loss", "mse", "mean_squared_error")  # other lists are left out if they hold no numbers


def looks_like_history(value: Mapping[str, Any]) -> bool:
    """Return whether a JSON object looks like a history."""
    return "loss" in _lists_in(value)


def keras_lists(path: Path, value: Mapping[str, Any]) -> dict[str, list[float]]:
    """Return the lists of a history, all of the same length.

    Parameters
    ----------
    path : Path
        Where it was read, for messages.
    value : mapping
        A `History.history`, the attributes of a `History`, or a data frame made from one.

    Returns
    -------
    dict of lists of float
        NaN where an entry is missing or not finite.

    Warns
    -----
    MfcliWarning
        If there are such entries.

    Raises
    ------
    ArtifactError
        If there is no list `loss` with a finite entry, or a needed list holds no numbers.
    """
    lists = {name: _numbers(path, name, entries) for name, entries in _lists_in(value).items()}
    found = {name: entries for name, entries in lists.items() if entries}
    if "loss" not in found:
        raise ArtifactError("is not a training history: it has no list 'loss'", place=path)
    epochs = max(map(len, found.values()))
    check_length(path, epochs)
    if not any(map(math.isfinite, found["loss"])):
        raise ArtifactError("'loss' has no finite number", place=path)
    _warn_not_finite(path, found)
    return {name: _extended(path, name, entries, epochs) for name, entries in found.items()}


def check_length(path: Path, epochs: int) -> None:
    """Refuse a history of too many epochs.

    Raises
    ------
    ArtifactError
    """
    if epochs > _MOST:
        raise ArtifactError(f"must have at most {_MOST:,} epochs, got {epochs:,}", place=path)


def _lists_in(value: Mapping[str, Any]) -> dict[str, Any]:
    lists = value.get("history", value)
    if not isinstance(lists, dict):
        return {}
    return {name: _list_of(entries) for name, entries in lists.items()}


def _list_of(entries: Any) -> Any:
    """Return a list for a column of a data frame, which pandas writes as {"0": 1.5, "1": 1.2}."""
    if isinstance(entries, dict) and list(entries) == list(map(str, range(len(entries)))):
        return list(entries.values())
    return entries


def _numbers(path: Path, name: str, entries: Any) -> list[float]:
    """Convert a list; empty if it is not needed and holds no numbers."""
    try:
        return [_number(entry) for entry in entries] if isinstance(entries, list) else []
    except (TypeError, ValueError, OverflowError):
        if name.removeprefix("val_") in _NEEDED:
            raise ArtifactError(f"{name!r} must be a list of numbers", place=path) from None
        return []


def _number(entry: Any) -> float:
    if entry is None:
        return math.nan
    if isinstance(entry, bool) or not isinstance(entry, int | float | str):
        raise TypeError
    number = float(entry)
    return number if abs(number) < HUGE else math.nan


def _warn_not_finite(path: Path, lists: Mapping[str, list[float]]) -> None:
    parts = []
    for name, entries in lists.items():
        epochs = [n for n, entry in enumerate(entries, start=1) if math.isnan(entry)]
        if epochs:
            others = f" and {len(epochs) - 1:,} more" if len(epochs) > 1 else ""
            parts.append(f"{name!r} at epoch {epochs[0]:,}{others}")
    if parts:
        warn(f"numbers that are not finite are left out: {', '.join(parts)}", place=path)


def _extended(path: Path, name: str, entries: list[float], epochs: int) -> list[float]:
    """Place the entries of a shorter list at their epochs, and NaN at the others."""
    if len(entries) == epochs:
        return entries
    every = epochs // len(entries)
    if epochs // every != len(entries):
        every = 1
    extended = [math.nan] * epochs
    extended[every - 1 : every * len(entries) : every] = entries
    taken = f"every {every} epochs" if every > 1 else f"epochs 1 to {len(entries):,}"
    count = f"{len(entries):,} {'entry' if len(entries) == 1 else 'entries'}"
    warn(f"{name!r} has {count} for {epochs:,} epochs, taken as those of {taken}", place=path)
    return extended

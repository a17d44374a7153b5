"""Runs beside one another: what was set differently, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mfcli.errors import ArtifactError
from mfcli.evaluation.bootstrap import interval
from mfcli.evaluation.records import RANKING_MEASURES, RATING_MEASURES, SavedMetrics

PROTOCOL = (
    "on", "source", "ratings", "users", "split", "clip", "cold_start", "scale", "averaging",
    "intervals", "ranking",
)  # fmt: skip
"""What must be the same for measures to be compared."""

_LOW = ("rmse", "mse", "mae", "user_rmse")
_NEITHER = ("coverage", "popularity")  # more is not better


@dataclass(frozen=True)
class Comparison:
    """Several runs.

    Attributes
    ----------
    runs : dict of SavedMetrics
        By name.
    same_protocol : bool
    """

    runs: dict[str, SavedMetrics]
    same_protocol: bool

    @property
    def settings(self) -> dict[str, list[Any]]:
        """The settings that are not the same in all runs: a value for each run."""
        configs = [run.config for run in self.runs.values()]
        names = dict.fromkeys(name for config in configs for name in config)
        values = {name: [config.get(name) for config in configs] for name in names}
        return {
            name: column
            for name, column in values.items()
            if column.count(column[0]) != len(column)
        }

    @property
    def measures(self) -> dict[str, list[float | None]]:
        """The measures that any run has: a value for each run, None where it lacks it."""
        found = {
            name: [run.measures.get(name) for run in self.runs.values()]
            for name in (*RATING_MEASURES, *RANKING_MEASURES)
        }
        return {name: column for name, column in found.items() if column != [None] * len(column)}

    def best(self, measure: str) -> list[int]:
        """Return the positions of the best runs; none where more is neither better nor worse."""
        values = [value for value in self.measures[measure] if value is not None]
        if measure in _NEITHER or len(values) < 2:
            return []
        best = min(values) if measure in _LOW else max(values)
        return [n for n, value in enumerate(self.measures[measure]) if value == best]

    def difference(self, measure: str, run: str) -> dict[str, Any] | None:
        """Return a run's measure less that of the first, and the paired interval of that.

        Both were measured on the same draws of users, so the draws of the difference are the
        differences of the draws. None if one of them lacks the measure.
        """
        first, other = next(iter(self.runs.values())), self.runs[run]
        if measure not in first.measures or measure not in other.measures:
            return None
        draws = [np.array(one.draws.get(measure, [])) for one in (first, other)]
        paired = self.same_protocol and len(draws[0]) == len(draws[1])
        return {
            "value": other.measures[measure] - first.measures[measure],
            "interval": interval(draws[1] - draws[0]) if paired else None,
        }

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as plain values."""
        names = list(self.runs)
        return {
            "runs": [
                {
                    "name": name,
                    "file": str(run.path),
                    "settings": {s: column[n] for s, column in self.settings.items()},
                    "measures": {m: column[n] for m, column in self.measures.items()},
                    "differences": {m: self.difference(m, name) for m in self.measures},
                }
                for n, (name, run) in enumerate(self.runs.items())
            ],
            "best": {m: [names[n] for n in self.best(m)] for m in self.measures},
            "same_protocol": self.same_protocol,
        }


def _varies(column: list[Any]) -> bool:
    return any(value != column[0] for value in column)


def compare(runs: Mapping[str, SavedMetrics], *, any_protocol: bool = False) -> Comparison:
    """Put runs beside one another.

    Parameters
    ----------
    runs : mapping of SavedMetrics
        By name; the others are compared to the first.
    any_protocol : bool
        Even if they were not measured in the same way; then differences have no intervals.

    Raises
    ------
    ArtifactError
        If they were measured in different ways.
    """
    first, *others = runs.values()
    for run in others:
        difference = _difference(first, run)
        if difference and not any_protocol:
            key, own, firsts = difference
            raise ArtifactError(
                f"{run.path}: was measured with {key} {own}, {first.path} with {firsts};"
                " evaluate both in the same way, or compare all the same with --any-protocol"
            )
    return Comparison(dict(runs), not any(_difference(first, run) for run in others))


def _difference(first: SavedMetrics, other: SavedMetrics) -> tuple[str, str, str] | None:
    """Return what differs between protocols, in `other` and in `first`.

    Rankings count only if both have them.
    """
    if len(first.protocols) != len(other.protocols):
        return "folds", str(len(other.protocols)), str(len(first.protocols))
    for one, two in zip(first.protocols, other.protocols, strict=True):
        for key in PROTOCOL:
            values = two.get(key), one.get(key)
            if values[0] != values[1] and not (key == "ranking" and None in values):
                return key, _shown(values[0]), _shown(values[1])
    return None


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {part}" for name, part in value.items())
    return str(value)

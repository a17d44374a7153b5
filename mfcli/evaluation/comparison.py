"""Compare runs: the settings and measures that differ."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
import pyarrow as pa

from mfcli.errors import ArtifactError, Param, UsageError
from mfcli.evaluation.bootstrap import Interval, interval
from mfcli.evaluation.cross_validation import CrossValidation
from mfcli.evaluation.measures import RATING_ERROR, UNCERTAINTY, Measure, in_order, measure_of
from mfcli.evaluation.metrics import FoldMetrics, Metrics, Protocol
from mfcli.evaluation.metrics_files import metrics_file, read_metrics
from mfcli.evaluation.model_evaluation import RANKING_SETTINGS
from mfcli.evaluation.names_of_runs import run_names

RunLike: TypeAlias = Metrics | FoldMetrics | CrossValidation | str | os.PathLike[str]
"""The metrics of a run, or its folder or `metrics.json`."""

Value = TypeVar("Value")

_SAME = ("on", "source", "ratings", "users", "split", "level", "cold_start", "averaging")
"""Parts of the protocol that must be equal for measures to be comparable, apart from the scale."""

_SAME_SETTINGS = ("clip", "resamples", "seed", *RANKING_SETTINGS)
"""Settings that must be equal; of rating errors and of rankings only if both runs have them."""


@dataclass(frozen=True)
class Difference:
    """How much a measure of a run differs from that of the first run.

    Attributes
    ----------
    value : float
    interval : tuple or None
        The paired confidence interval, if both were measured in the same way.
    """

    value: float
    interval: Interval | None


@dataclass(frozen=True)
class Comparison:
    """Several runs.

    Attributes
    ----------
    runs : dict of Metrics or FoldMetrics
        By name.
    same_protocol : bool
        Whether all were measured in the same way.
    """

    runs: dict[str, Metrics | FoldMetrics]
    same_protocol: bool

    @property
    def settings(self) -> dict[str, list[Any]]:
        """The training settings that differ, with a value for each run; None if it is not used.

        Also the parts of the split that were trained on (`trained_on`).
        """
        columns = [_trained_with(run) for run in self.runs.values()]
        names = dict.fromkeys(name for column in columns for name in column)
        values = {name: [column.get(name) for column in columns] for name in names}
        return _different(values)

    @property
    def protocols(self) -> dict[str, list[Any]]:
        """The parts of the protocols that differ, with a value for each run.

        It is empty if `same_protocol`. Only the first folds of k-fold splits are compared.
        """
        columns = [_compared(run.protocols[0]) for run in self.runs.values()]
        names = dict.fromkeys(name for column in columns for name in column)
        values = {name: [column.get(name) for column in columns] for name in names}
        folds = {"folds": [len(run.protocols) for run in self.runs.values()]}
        # Settings of rankings are missing from runs without rankings; the others are comparable.
        return {} if self.same_protocol else _different(folds | values)

    @property
    def measures(self) -> dict[str, list[float | None]]:
        """The measures that any run has, with a value for each run; None if it has none.

        If only rankings were measured of a run, these are the measures of rankings. Measures at
        further cutoffs are left out if only one run has them.
        """
        runs = list(self.runs.values())
        known = in_order(name for run in runs for name in run.measures)
        found = {
            name: [run.measures.get(name) for run in runs]
            for name, measure in known.items()
            if self._has_errors or measure.kind not in (RATING_ERROR, UNCERTAINTY)
        }
        return {
            name: row
            for name, row in found.items()
            if len(row) - row.count(None) > (1 if "@" in name else 0)
        }

    @property
    def _has_errors(self) -> bool:
        return all(run.has_errors for run in self.runs.values())

    def best(self, measure: str) -> list[int]:
        """Return the positions of the best runs; none if neither lower nor higher is better.

        Raises
        ------
        UsageError
            If no run has the measure.
        """
        values = _one_of(self.measures, measure, "measure")
        best = known_measure(measure).best(values)
        # Several runs may be equally good.
        return [n for n, value in enumerate(values) if value is not None and value == best]

    def difference(self, measure: str, run: str) -> Difference | None:
        """Return a run's measure minus that of the first run; None if either lacks it.

        Both were measured on the same resamples of the users, so the draws of the difference are
        the differences of the draws.

        Raises
        ------
        UsageError
            If no run has the measure, or there is no such run.
        """
        _one_of(self.measures, measure, "measure")
        first, other = next(iter(self.runs.values())), _one_of(self.runs, run, "run")
        own, firsts = other.measures.get(measure), first.measures.get(measure)
        if own is None or firsts is None:
            return None
        # Coverage, for instance, has no draws; its interval is None.
        draws = [np.array(one.draws.get(measure, [])) for one in (first, other)]
        # The same seed and number of users give the same resamples, so draws correspond one to one.
        is_paired = self.same_protocol and len(draws[0]) == len(draws[1])
        return Difference(own - firsts, interval(draws[1] - draws[0]) if is_paired else None)

    def __repr__(self) -> str:
        lines = [f"Comparison of {', '.join(self.runs)}"]
        for name, values in self.measures.items():
            lines.append(f"{name}: {', '.join(map(known_measure(name).text, values))}")
        return "\n".join(lines)

    def to_arrow(self) -> pa.Table:
        """Return a row for each measure: `measure`, and a column for each run by its name."""
        rows = zip(*self.measures.values(), strict=True)
        columns = [list(self.measures), *map(list, rows)]
        # Names may repeat: a run may be called "measure".
        return pa.table(list(map(pa.array, columns)), names=["measure", *self.runs])

    def to_pandas(self) -> Any:
        """Return the table of `to_arrow` as a pandas DataFrame."""
        return self.to_arrow().to_pandas()

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as plain values."""
        names = list(self.runs)
        return {
            "runs": [
                {
                    "name": name,
                    "protocol": {p: row[n] for p, row in self.protocols.items()},
                    "settings": {s: row[n] for s, row in self.settings.items()},
                    "measures": {m: row[n] for m, row in self.measures.items()},
                    "differences": {m: self._plain_difference(m, name) for m in self.measures},
                }
                for n, name in enumerate(names)
            ],
            "best": {m: [names[n] for n in self.best(m)] for m in self.measures},
            "same_protocol": self.same_protocol,
        }

    def _plain_difference(self, measure: str, run: str) -> dict[str, Any] | None:
        difference = self.difference(measure, run)
        return vars(difference).copy() if difference else None


def _trained_with(run: Metrics | FoldMetrics) -> dict[str, Any]:
    return run.training | {"trained_on": ", ".join(run.protocols[0].trained_parts)}


def known_measure(name: str) -> Measure:
    """Return a measure that `Comparison.measures` contains."""
    found = measure_of(name)
    assert found  # others are left out
    return found


def _one_of(values: Mapping[str, Value], name: str, param: str) -> Value:
    if name not in values:
        raise UsageError(f"must be one of {', '.join(values)}", param=param, value=name)
    return values[name]


def compare(
    runs: Mapping[str, RunLike] | Iterable[RunLike], *, any_protocol: bool = False
) -> Comparison:
    """Compare runs with the first one.

    Parameters
    ----------
    runs : mapping by name, or sequence
        Results of `evaluate` or `cross_validate`, run folders or `metrics.json` files. In a
        sequence, runs from files are named after them, others "run 1", "run 2", ...
    any_protocol : bool
        Also compare runs that were measured in different ways; then differences have no intervals.

    Raises
    ------
    ArtifactError
        If they were measured in different ways, or a file cannot be read.
    UsageError
        If there are fewer than two runs, or one is none of the above.
    """
    read = named_runs(runs)
    if len(read) < 2:
        raise UsageError(f"must be at least two runs, got {len(read)}", param="runs")
    (name, first), *others = read.items()
    _check_common(read)
    for other_name, other in others:
        found = _protocol_difference(first, other)
        if found and not any_protocol:
            raise ArtifactError(
                f"was measured {_phrase(*found, name)}",
                place=other_name,
                remedy=["evaluate both in the same way, or use ", Param("any_protocol", True)],
            )
    return Comparison(read, not any(_protocol_difference(first, run) for _, run in others))


def _check_common(runs: Mapping[str, Metrics | FoldMetrics]) -> None:
    """Refuse runs without rankings if only the rankings of another run were measured."""
    ranked = [name for name, run in runs.items() if not run.has_errors]
    for name, run in runs.items():
        if ranked and run.measures.get("ndcg") is None:
            raise ArtifactError(
                f"has no rankings to compare with those of {ranked[0]}",
                place=name,
                remedy=["evaluate it with ", Param("ranking", True)],
            )


def named_runs(
    runs: Mapping[str, RunLike] | Iterable[RunLike],
) -> dict[str, Metrics | FoldMetrics]:
    """Return the metrics of runs by name, as `compare` takes them.

    Raises
    ------
    ArtifactError
        If a file cannot be read.
    UsageError
        If a run is none of those that `compare` takes.
    """
    # A path is iterable too, and a single run would be its letters.
    if isinstance(runs, str) or not isinstance(runs, Iterable):
        raise UsageError("must be a mapping or a sequence", param="runs", value=runs)
    if isinstance(runs, Mapping):
        return {str(name): _metrics_of(run, str(name)) for name, run in runs.items()}
    listed = list(runs)
    paths = {
        number: metrics_file(Path(run))
        for number, run in enumerate(listed)
        if isinstance(run, str | os.PathLike)
    }
    names = {number: f"run {number + 1}" for number in range(len(listed))}
    several = len(paths) > 1  # one alone is named after its folder, not "metrics"
    found = run_names([*paths.values()]) if several else map(_folder_name, paths.values())
    names |= dict(zip(paths, found, strict=True))
    return {names[n]: _metrics_of(run, names[n]) for n, run in enumerate(listed)}


def _folder_name(path: Path) -> str:
    return path.resolve().parent.name


def _metrics_of(run: RunLike, name: str) -> Metrics | FoldMetrics:
    if isinstance(run, Metrics | FoldMetrics):
        return run
    if isinstance(run, CrossValidation):
        return run.metrics
    if isinstance(run, str | os.PathLike):
        return read_metrics(Path(run))
    rule = f"must be metrics or a path, got {type(run).__name__}"
    raise UsageError(rule, param=Param(f"runs.{name}"))


def _protocol_difference(
    first: Metrics | FoldMetrics, other: Metrics | FoldMetrics
) -> tuple[str, Any, Any] | None:
    """Return the name of the first difference, and its values in `other` and in `first`."""
    folds = len(other.protocols), len(first.protocols)
    if folds[0] != folds[1]:
        return "folds", *folds
    # Fold by fold: the folds of a split differ in their hashes.
    for one, two in zip(first.protocols, other.protocols, strict=True):
        firsts, own = _compared(one), _compared(two)
        for name in firsts:
            # A setting of rankings, or of rating errors, is missing if only one run has them.
            if name in own and own[name] != firsts[name]:
                return name, own[name], firsts[name]
    return None


def _phrase(what: str, own: Any, firsts: Any, name: str) -> str:
    """Return "on 20 ratings, but a on 10" for a difference from the run with a name."""
    if what in ("ratings", "users"):
        return f"on {own:,} {what}, but {name} on {firsts:,}"
    if what == "on":
        return f"on {own}, but {name} on {firsts}"
    return f"with {what} {own}, but {name} with {firsts}"


def _different(values: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Return the rows whose values are not all equal."""
    # Values need not be hashable or ordered: count those equal to the first.
    return {name: row for name, row in values.items() if row.count(row[0]) != len(row)}


def _compared(protocol: Protocol) -> dict[str, Any]:
    """Return the parts of a protocol that must be equal; those of rankings only if it has them."""
    scale = protocol.scale
    settings = {name: value for name, value in protocol.settings.items() if name in _SAME_SETTINGS}
    if protocol.cutoffs:
        # Measures at other cutoffs have other names. Older versions had one protocol.
        settings = {"protocol": "unrated"} | settings | {"at": protocol.cutoffs[0]}
    return {
        **{name: getattr(protocol, name) for name in _SAME},
        "scale": f"{scale.min:g} to {scale.max:g}, step {scale.step}",
        **settings,
    }

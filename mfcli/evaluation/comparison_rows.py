"""The rows of a comparison as text: what differs in rows, runs in columns."""

from __future__ import annotations

from typing import Any, NamedTuple

from mfcli.config import SETTINGS, value_text
from mfcli.evaluation.bootstrap import LEVEL, interval_text
from mfcli.evaluation.comparison import Comparison, known_measure

_DIFFERENCES = ("rmse", "log_score", "ndcg")  # the main measure of each kind
_HASH = 12  # characters of a hash that are shown
_HASHES = ("split", "source")


class ComparisonRow(NamedTuple):
    """A row of a comparison.

    Attributes
    ----------
    label : str
    cells : list of str
        One for each run; "-" where there is no value.
    best : list of int
        Positions of the best runs.
    """

    label: str
    cells: list[str]
    best: list[int]


def comparison_title(comparison: Comparison) -> str:
    """Return how many runs there are, and what they were measured on, in one line."""
    runs = f"{len(comparison.runs)} runs"
    # If the protocols differ, rows show how.
    if not comparison.same_protocol:
        return f"{runs}, measured in different ways"
    protocols = next(iter(comparison.runs.values())).protocols
    folds = f" of {len(protocols)} folds" if len(protocols) > 1 else ""
    ratings = sum(protocol.ratings for protocol in protocols)
    return f"{runs} on {ratings:,} {protocols[0].rows}{folds}"


def comparison_rows(comparison: Comparison) -> dict[str, list[ComparisonRow]]:
    """Return the rows by section; sections without rows are left out.

    The sections are "Protocol" (only of runs that were measured in different ways), "Settings",
    "Measures" and "Differences from" the first run, with paired confidence intervals. A setting
    that only some runs use is left out if it has its default in all of them.
    """
    settings = {n: row for n, row in comparison.settings.items() if _is_chosen(n, row)}
    sections = {
        "Protocol": _plain_rows(comparison.protocols),
        "Settings": _plain_rows(settings),
        "Measures": [_measure_row(comparison, name) for name in comparison.measures],
        f"Differences from {next(iter(comparison.runs))}": _difference_rows(comparison),
    }
    return {title: rows for title, rows in sections.items() if rows}


def _is_chosen(name: str, values: list[Any]) -> bool:
    """Return whether a setting differs by choice, not only because some runs do not use it."""
    used = [value for value in values if value is not None]
    default = SETTINGS[name].default if name in SETTINGS else None
    return any(value != default for value in used)


def _plain_rows(values: dict[str, list[Any]]) -> list[ComparisonRow]:
    return [
        ComparisonRow(name, [_plain(name, value) for value in row], [])
        for name, row in values.items()
    ]


def _plain(name: str, value: Any) -> str:
    if value is None:
        return "-"
    return str(value)[:_HASH] if name in _HASHES else value_text(value)


def _measure_row(comparison: Comparison, name: str) -> ComparisonRow:
    measure = known_measure(name)
    cells = [measure.text(value) for value in comparison.measures[name]]
    return ComparisonRow(measure.label, cells, comparison.best(name))


def _difference_rows(comparison: Comparison) -> list[ComparisonRow]:
    shown = [name for name in _DIFFERENCES if name in comparison.measures]
    rows = [row for name in shown for row in _differences_in(comparison, name)]
    return [row for row in rows if set(row.cells) != {"-"}]


def _differences_in(comparison: Comparison, name: str) -> list[ComparisonRow]:
    """Return the differences in a measure and their intervals; the first run has none."""
    _, *others = comparison.runs
    measure = known_measure(name)
    found = [comparison.difference(name, run) for run in others]
    values = [f"{one.value:+.{measure.digits}f}" if one else "-" for one in found]
    form = f"+.{measure.digits}f"
    ends = [interval_text(one.interval if one else None, form) for one in found]
    label = f"difference in {measure.label}"
    return [
        ComparisonRow(label, ["-", *values], []),
        ComparisonRow(f"{LEVEL:.0%} interval", ["-", *ends], []),
    ]

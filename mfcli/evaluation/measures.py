"""The table of measures: how each is called and shown, and which values are better.

To add a measure, add an entry to the table and its formula to `rating_errors.py`,
`uncertainty.py`, `mfcli/rankings/formulas.py` or `mfcli/rankings/beyond_accuracy.py`. Evaluation,
saved metrics, comparisons, commands and pictures use the table.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

RATING_ERROR, UNCERTAINTY = "rating error", "uncertainty"
RANKING, BEYOND = "ranking", "beyond accuracy"
"""The kinds of measures: two of ratings and two of rankings."""


@dataclass(frozen=True)
class Measure:
    """What is known about a measure apart from its formula.

    Attributes
    ----------
    name : str
        As in `metrics.json` and in Python.
    label : str
        As in tables and pictures.
    kind : str
        `RATING_ERROR`, `UNCERTAINTY`, `RANKING` or `BEYOND`.
    better : str
        "lower" or "higher" values are better; empty if neither is.
    unit : str
        Empty for a number without unit.
    digits : int
        Digits after the decimal point that are shown.
    """

    name: str
    label: str
    kind: str
    better: str
    unit: str = ""
    digits: int = 4

    def text(self, value: float | None) -> str:
        """Format a value; "-" if there is none."""
        return "-" if value is None else f"{value:.{self.digits}f}"

    def best(self, values: Iterable[float | None]) -> float | None:
        """Return the best of several values; None if there are fewer than two or none is better."""
        found = [value for value in values if value is not None]
        # A single value has nothing to be compared with.
        if not self.better or len(found) < 2:
            return None
        return min(found) if self.better == "lower" else max(found)


_TABLE = (
    Measure("rmse", "RMSE", RATING_ERROR, "lower", "rating units"),
    Measure("mse", "MSE", RATING_ERROR, "lower", "squared rating units"),
    Measure("mae", "MAE", RATING_ERROR, "lower", "rating units"),
    Measure("r2", "R2", RATING_ERROR, "higher"),
    Measure("user_rmse", "RMSE by user", RATING_ERROR, "lower", "rating units"),
    Measure("log_score", "log score", UNCERTAINTY, "higher", "nats"),
    Measure("log_score_gain", "log score gain", UNCERTAINTY, "higher", "nats"),
    Measure("interval_coverage", "interval coverage", UNCERTAINTY, ""),
    Measure("ndcg", "NDCG", RANKING, "higher"),
    Measure("recall", "recall", RANKING, "higher"),
    Measure("precision", "precision", RANKING, "higher"),
    Measure("map", "MAP", RANKING, "higher"),
    Measure("mrr", "MRR", RANKING, "higher"),
    Measure("hit_rate", "hit rate", RANKING, "higher"),
    Measure("coverage", "coverage", BEYOND, ""),
    Measure("gini", "Gini index", BEYOND, ""),
    Measure("popularity", "popularity", BEYOND, ""),
    Measure("long_tail", "long tail", BEYOND, ""),
    Measure("novelty", "novelty", BEYOND, "", "bits"),
    Measure("diversity", "diversity", BEYOND, ""),
    Measure("popularity_deviation", "pop. deviation", BEYOND, "lower"),
    Measure("ndcg_gap", "NDCG gap", BEYOND, ""),
)

MEASURES = {measure.name: measure for measure in _TABLE}
"""All measures by name, in the order in which they are shown."""


def measures_of(kind: str) -> dict[str, Measure]:
    """Return the measures of a kind by name."""
    return {name: measure for name, measure in MEASURES.items() if measure.kind == kind}


def at_cutoff(name: str, cutoff: int, main: int) -> str:
    """Return the name of a measure at a cutoff: plain at the main one, or like "ndcg@20"."""
    return name if cutoff == main else f"{name}@{cutoff}"


def measure_of(name: str) -> Measure | None:
    """Return a measure by its name, which may end in a cutoff; None if there is no such measure."""
    plain, at, cutoff = name.partition("@")
    known = MEASURES.get(plain)
    if not at or known is None:
        return known
    if known.kind != RANKING or not (cutoff.isdecimal() and cutoff.isascii()):
        return None
    return replace(known, name=name, label=f"{known.label}@{cutoff}")


def in_order(names: Iterable[str]) -> dict[str, Measure]:
    """Return the measures with some names, in the order of the table, then by cutoff."""
    found = {name: measure_of(name) for name in dict.fromkeys(names)}
    known = [(name, measure) for name, measure in found.items() if measure]
    places = {name: place for place, name in enumerate(MEASURES)}
    known.sort(key=lambda one: (_cutoff(one[0]), places[one[0].partition("@")[0]]))
    return dict(known)


def _cutoff(name: str) -> int:
    return int(name.partition("@")[2] or 0)

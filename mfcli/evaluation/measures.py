"""The table of measures: how each is called and shown, and which values are better.

To add a measure, add an entry to the table and its formula to `rating_errors.py` or
`mfcli/rankings/formulas.py`. Evaluation, saved metrics, comparisons, commands and pictures use the
table.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

RATING_ERROR, RANKING = "rating error", "ranking"
"""The kinds of measures."""


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
        `RATING_ERROR` or `RANKING`.
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
    Measure("ndcg", "NDCG", RANKING, "higher"),
    Measure("recall", "recall", RANKING, "higher"),
    Measure("precision", "precision", RANKING, "higher"),
    Measure("map", "MAP", RANKING, "higher"),
    Measure("mrr", "MRR", RANKING, "higher"),
    Measure("hit_rate", "hit rate", RANKING, "higher"),
    Measure("coverage", "coverage", RANKING, ""),
    Measure("popularity", "popularity", RANKING, ""),
)

MEASURES = {measure.name: measure for measure in _TABLE}
"""All measures by name, in the order in which they are shown."""


def measures_of(kind: str) -> dict[str, Measure]:
    """Return the measures of a kind by name."""
    return {name: measure for name, measure in MEASURES.items() if measure.kind == kind}

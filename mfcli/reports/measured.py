"""The metrics of runs, and those of folds, by the name under which a report shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mfcli.errors import Param
from mfcli.evaluation import FoldMetrics, Metrics
from mfcli.reports.blocks import Missing
from mfcli.reports.runs import Run
from mfcli.spelling import command


@dataclass(frozen=True)
class Measured:
    """The metrics of one model.

    Attributes
    ----------
    name : str
    metrics : Metrics
    color : int
        The same in all charts.
    """

    name: str
    metrics: Metrics
    color: int


def measured_models(runs: Sequence[Run]) -> list[Measured]:
    """Return the metrics of every model: of one run, each fold; of several, the first folds."""
    found: list[tuple[str, Metrics]] = []
    for run in runs:
        if isinstance(run.metrics, FoldMetrics):
            folds = [(f"fold {n}", one) for n, one in enumerate(run.metrics.folds, start=1)]
            found += folds if len(runs) == 1 else [(f"{run.name}, fold 1", folds[0][1])]
        elif run.metrics:
            found.append((run.name, run.metrics))
    return [Measured(name, metrics, number) for number, (name, metrics) in enumerate(found)]


def not_measured(run: Run) -> Missing:
    """Return why a run has no metrics, and the command that makes them."""
    if not run.is_measurable:
        text = (
            f"{run.name} was trained on all ratings, so none are left to measure it; measure it on"
            " newer ones."
        )
        return Missing(text, command("evaluate", [Param("on", "new.csv"), *run.places("model")]))
    text = f"{run.name} has no metrics.json, which holds its errors and rankings."
    return Missing(text, command("evaluate", run.places("model")))


def without_rankings(run: Run) -> Missing:
    """Return that the rankings of a run were not measured, and the command that does."""
    text = f"The rankings of {run.name} were not measured."
    return Missing(text, command("evaluate", [Param("ranking"), *run.places("model")]))

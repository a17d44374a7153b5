"""The metrics of runs, and those of folds, by the name under which a report shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mfcli.errors import Param
from mfcli.evaluation import FoldMetrics, Metrics, compare
from mfcli.reports.blocks import Missing, Notice, Paragraph
from mfcli.reports.runs import Run
from mfcli.spelling import command

_MOST = 6  # models whose curves can be told apart


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


def drawn(models: Sequence[Measured]) -> Sequence[Measured]:
    """Return the models whose curves are drawn: the first ones."""
    return models[:_MOST]


def left_out(models: Sequence[Measured]) -> list[Paragraph]:
    """Return a sentence about models without curves; none if all have some."""
    if len(models) <= _MOST:
        return []
    return [Paragraph(f"The curves are those of the first {_MOST} of {len(models)} models.")]


def measured_differently(runs: Sequence[Run]) -> list[Notice]:
    """Warn if runs were measured in different ways, so that their values cannot be compared."""
    metrics = {run.name: run.metrics for run in runs if run.metrics}
    if len(metrics) < 2 or compare(metrics, any_protocol=True).same_protocol:
        return []
    text = (
        "The runs were measured in different ways (see Comparison), so a better value does not"
        f" mean a better model. What is said here of the measurement is that of {runs[0].name}."
    )
    return [Notice(text)]


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

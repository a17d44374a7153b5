"""The head of a report: each run with its key numbers and verdict."""

from __future__ import annotations

from collections.abc import Sequence

from mfcli.evaluation import BASELINES, MEASURES, FoldMetrics, Metrics, interval_text
from mfcli.reports.blocks import KeyNumber, RunCard
from mfcli.reports.measure_tables import baseline_of
from mfcli.reports.runs import Run

_KEY = {"rmse": ("biases", "mean"), "ndcg": ("popular", "biases")}
"""The main measures, and the baselines of which the best is shown beside each."""


def title_of(runs: Sequence[Run]) -> str:
    """Return the title of a report."""
    *first, last = [run.name for run in runs]
    return f"{', '.join(first)} and {last}" if first else last


def run_cards(runs: Sequence[Run]) -> list[RunCard]:
    """Return each run in a few words."""
    return [RunCard(run.name, _about(run), _numbers(run), _verdict(run)) for run in runs]


def _about(run: Run) -> str:
    """Return what kind of model it is."""
    settings = run.settings
    words = [f"{settings[name]}" for name in ("optimizer",) if name in settings]
    words += [f"{settings['k']} factors"] if "k" in settings else []
    words.append("predicts ratings" if run.predicts == "ratings" else "ranks items")
    return ", ".join(words)


def _numbers(run: Run) -> list[KeyNumber]:
    metrics = run.metrics
    if not metrics:
        return []
    names = [name for name in _KEY if metrics.measures.get(name) is not None]
    return [_number(run, metrics, name) for name in names]


def _number(run: Run, metrics: Metrics | FoldMetrics, name: str) -> KeyNumber:
    measure, protocol = MEASURES[name], metrics.protocols[0]
    at = f"@{protocol.cutoffs[0]}" if name == "ndcg" else ""
    folds = len(metrics.protocols)
    of = f"mean of {folds} folds, " if folds > 1 else ""
    ends = metrics.intervals.get(name)
    details = [f"{of}95% interval {interval_text(ends)}" if ends else f"{of}no interval"]
    others = {other: baseline_of(run, other).get(name) for other in _KEY[name]}
    known = {other: value for other, value in others.items() if value is not None}
    best = measure.best([*others.values(), None])
    if best is None:  # a single baseline
        best = next(iter(known.values()), None)
    shown = next((other for other, value in known.items() if value == best), None)
    if shown:
        details.append(f"{BASELINES[shown]}: {measure.text(others[shown])}")
    return KeyNumber(
        f"{measure.label}{at} on {protocol.rows}", measure.text(metrics.measures[name]), details
    )


def _verdict(run: Run) -> str:
    if not run.metrics:
        return "Not measured." if run.is_measurable else "Trained on all ratings; not measured."
    verdict = run.metrics.verdict
    return " ".join(filter(None, [verdict.text, verdict.published])) if verdict else ""

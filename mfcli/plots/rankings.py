"""Panels of the rankings of a model, beside those of the baselines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from mfcli.evaluation import (
    BASELINES,
    BEYOND,
    MEASURES,
    RANKING,
    Measure,
    Metrics,
    RankedGroup,
    at_cutoff,
    measures_of,
)
from mfcli.plots.drawing import Axes
from mfcli.plots.group_errors import capitalized, draw_groups, label_activity, reaches, value_of
from mfcli.plots.style import MAIN, REFERENCE, color_of, marker_of

_WIDTH = 0.27  # of a bar; groups of bars are 1 apart
_RANKERS = {"model": "model", **{name: BASELINES[name] for name in ("popular", "biases")}}
_UNBOUNDED = {"novelty", "ndcg_gap"}  # not between 0 and 1


def ranking_panels(metrics: Metrics) -> dict[str, Callable[[Axes], None]]:
    """Return what draws each panel, by its title."""
    beyond = [one for name, one in measures_of(BEYOND).items() if name not in _UNBOUNDED]
    drawn: dict[str, Callable[[Axes], None]] = {
        "Accuracy": partial(_draw_bars, metrics=metrics, measures=[*measures_of(RANKING).values()]),
        "Beyond accuracy": partial(_draw_bars, metrics=metrics, measures=beyond),
    }
    if found := metrics.ranking_breakdown:
        ndcg, recall = MEASURES["ndcg"], MEASURES["recall"]
        drawn["NDCG by user activity"] = partial(
            _draw_activity, rows=found.user_activity, whose="user", measure=ndcg,
            overall=value_of(metrics, "ndcg"),
        )  # fmt: skip
        drawn["Recall by item popularity"] = partial(
            _draw_activity, rows=found.item_popularity, whose="item", measure=recall, overall=None
        )
    if len(metrics.protocol.cutoffs) > 1:
        drawn["Accuracy by cutoff"] = partial(_draw_cutoffs, metrics=metrics)
    return drawn


def _draw_bars(axes: Axes, metrics: Metrics, measures: Sequence[Measure]) -> None:
    """Draw a bar for each measure and ranker; those of the model have intervals."""
    for number, (name, label) in enumerate(_RANKERS.items()):
        values = _values_of(metrics, name)
        heights = [values.get(one.name) or 0.0 for one in measures]
        places = [n + (number - 1) * _WIDTH for n in range(len(measures))]
        axes.bar(places, heights, _WIDTH, color=color_of(number), label=label)
        if name == "model":
            reach = reaches(heights, [metrics.intervals.get(one.name) for one in measures])
            axes.errorbar(places, heights, reach, fmt="none", ecolor="black", capsize=2)
    labels = [one.label for one in measures]
    axes.set_xticks(range(len(measures)), labels, rotation=45, ha="right", fontsize="small")


def _values_of(metrics: Metrics, ranker: str) -> Mapping[str, float | None]:
    return metrics.measures if ranker == "model" else metrics.baselines[ranker].measures


def _draw_activity(
    axes: Axes, rows: Sequence[RankedGroup], whose: str, measure: Measure, overall: float | None
) -> None:
    draw_groups(axes, range(len(rows)), rows, color=MAIN, marker="o")
    label_activity(axes, rows, whose)
    if overall is not None:
        axes.axhline(overall, label=f"all users: {measure.text(overall)}", **REFERENCE)
    axes.set_ylabel(capitalized(measure.label))


def _draw_cutoffs(axes: Axes, metrics: Metrics) -> None:
    """Draw NDCG and recall by cutoff, of the model and of the most popular items."""
    main, *_ = cutoffs = metrics.protocol.cutoffs
    ordered = sorted(cutoffs)
    for number, name in enumerate(("model", "popular")):
        values = _values_of(metrics, name)
        for measure, line in (("ndcg", "-"), ("recall", "--")):
            heights = [values.get(at_cutoff(measure, n, main)) or 0.0 for n in ordered]
            style: dict[str, Any] = {"color": color_of(number), "marker": marker_of(number) or "o"}
            text = f"{MEASURES[measure].label}, {_RANKERS[name]}"
            axes.plot(ordered, heights, linestyle=line, markersize=4, label=text, **style)
    axes.set_xticks(ordered)
    axes.set_xlabel("Cutoff")

"""Measures of groups of ratings, with their intervals, as points and labels of a panel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

from mfcli.errors import ArtifactError, Param
from mfcli.evaluation import (
    MEASURES,
    ActivityError,
    FoldMetrics,
    Metrics,
    RankedGroup,
    RatingError,
)
from mfcli.plots.drawing import Axes

RMSE = MEASURES["rmse"]
RMSE_LABEL = f"{RMSE.label} ({RMSE.unit})"

Groups: TypeAlias = Sequence[ActivityError | RatingError | RankedGroup]


def of_one_split(metrics: Metrics | FoldMetrics) -> Metrics:
    """Return metrics of one split.

    Raises
    ------
    ArtifactError
        If these are the metrics of several folds, whose groups of ratings differ.
    """
    if isinstance(metrics, Metrics):
        return metrics
    one = Param("split", "split/fold-1"), Param("model", "fold-1/model")
    raise ArtifactError(
        "the metrics of several folds have no picture",
        remedy=["evaluate one fold, with ", one[0], " and ", one[1]],
    )


def capitalized(label: str) -> str:
    """Return a label with a capital letter, as the axes have; others keep theirs, such as NDCG."""
    return label[:1].upper() + label[1:]


def value_of(metrics: Metrics, measure: str) -> float:
    """Return a measure of a model; 0 if it is undefined."""
    return metrics.measures.get(measure) or 0.0


def draw_groups(axes: Axes, places: Sequence[float], rows: Groups, **style: Any) -> None:
    """Draw the error (or other measure) of each group with its interval, if there is one."""
    heights = [row.value if isinstance(row, RankedGroup) else row.rmse for row in rows]
    reach = reaches(heights, [row.interval for row in rows])
    axes.errorbar(places, heights, reach, capsize=2, elinewidth=1, **style)


def reaches(
    values: Sequence[float], intervals: Sequence[tuple[float, float] | None]
) -> tuple[list[float], list[float]]:
    """Return how far intervals reach below and above values; NaN, which is not drawn, for none."""
    ends = [interval or (math.nan, math.nan) for interval in intervals]
    below = [value - low for value, (low, _) in zip(values, ends, strict=True)]
    above = [high - value for value, (_, high) in zip(values, ends, strict=True)]
    return below, above


def rating_name(row: RatingError) -> str:
    """Return the label of a group of ratings."""
    return f"{row.rating:.3g}"


def label_activity(axes: Axes, rows: Sequence[ActivityError | RankedGroup], whose: str) -> None:
    """Label each tenth of the ratings with the range that it covers."""
    ends = [(row.low, row.high) for row in rows]
    names = [f"{low:,}" if low == high else f"{low:,}-{high:,}" for low, high in ends]
    axes.set_xticks(range(len(rows)), names, rotation=45, ha="right", fontsize="small")
    axes.set_xlabel(f"Training ratings of the {whose} (deciles)")


def label_ratings(axes: Axes, names: Sequence[str]) -> None:
    """Label each group with its rating."""
    axes.set_xticks(range(len(names)), names)
    axes.set_xlabel("Rating")

"""The measures of a baseline beside those of a model."""

from __future__ import annotations

from typing import TypeAlias

from mfcli.evaluation.bootstrap import Interval
from mfcli.storage import Section

Settings: TypeAlias = dict[str, bool | int | float | str | list[int]]
"""Values of settings by name."""

BASELINES: dict[str, str] = {
    "biases": "damped biases",
    "mean": "training mean",
    "popular": "most popular",
}
"""Labels of the baselines by name."""


class BaselineMetrics(Section):
    """The measures of a baseline, and what the model gains over it.

    Attributes
    ----------
    measures : dict of float or None
        By the name of the measure.
    intervals : dict
        The ends of the confidence interval of each measure, or None.
    gain : float or None
        The fraction of the baseline's RMSE that the model removes; None for rankings alone.
    gain_interval : tuple or None
    ndcg_difference : float or None
        The NDCG of the model minus that of the baseline; None without rankings.
    ndcg_interval : tuple or None
    """

    measures: dict[str, float | None]
    intervals: dict[str, Interval | None]
    gain: float | None = None
    gain_interval: Interval | None = None
    ndcg_difference: float | None = None
    ndcg_interval: Interval | None = None

"""Confidence intervals of the mean over folds.

The training ratings of folds overlap, so their measures are correlated, and the usual interval of
a mean is too narrow. With a standard deviation s over k folds, the variance of the mean is
therefore taken as

    s^2 (1 / k + n_test / n_train)

(C. Nadeau and Y. Bengio, "Inference for the generalization error", Machine Learning 52, 2003), and
the interval is that of Student's t with k - 1 degrees of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mfcli.evaluation.bootstrap import LEVEL, Interval

_STEPS = 100_001  # of the numerical integration; the quantile has six digits


def fold_interval(values: Sequence[float], share: float) -> Interval:
    """Return the confidence interval of the mean of a measure.

    Parameters
    ----------
    values : sequence of float
        The measure of each fold, at least two.
    share : float
        Number of test ratings divided by the number of training ratings.
    """
    count, mean = len(values), float(np.mean(values))
    deviation = float(np.std(values, ddof=1))
    margin = student_quantile(count - 1) * deviation * math.sqrt(1 / count + share)
    return mean - margin, mean + margin


def student_quantile(freedom: int) -> float:
    """Return t such that Student's t is between -t and t with the probability `LEVEL`."""
    # With t = sqrt(v) tan(a), the density of t becomes proportional to cos(a)^(v - 1).
    angle = np.linspace(0, np.pi / 2, _STEPS)
    density = np.cos(angle) ** (freedom - 1)
    mass = np.concatenate([[0], np.cumsum(density[1:] + density[:-1])])  # trapezoids
    return math.sqrt(freedom) * math.tan(float(np.interp(LEVEL * mass[-1], mass, angle)))

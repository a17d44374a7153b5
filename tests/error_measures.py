"""Rating errors computed from arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfcli.evaluation.binned_sums import BinnedSums
from mfcli.evaluation.bootstrap import Bootstrap
from mfcli.evaluation.rating_errors import (
    ERROR_TERMS,
    RATING_TERMS,
    error_columns,
    measured_errors,
    rating_columns,
)


def user_sums(error: NDArray[Any], rating: NDArray[Any], user: NDArray[Any]) -> BinnedSums:
    """Sum the terms of errors and ratings by user; all arrays have shape (n,)."""
    sums = BinnedSums(int(user.max()) + 1, *RATING_TERMS, *ERROR_TERMS)
    shifted = rating.astype(np.float64) - rating.mean(dtype=np.float64)
    sums.add(user, **rating_columns(shifted), **error_columns(error))
    return sums


def errors_of(
    predicted: NDArray[Any], rating: NDArray[Any], user: NDArray[Any]
) -> dict[str, float | None]:
    """Return the rating errors of predictions for ratings of users 0, 1, ..."""
    sums = user_sums(predicted.astype(np.float64) - rating, rating, user)
    return measured_errors(sums, {"": ""}, Bootstrap(0, 0))[""].values

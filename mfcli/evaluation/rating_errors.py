"""Formulas of the rating errors, computed from sums over the ratings of each user.

With e the error of a rating r (prediction minus r), n the number of ratings, and m their mean:

    MSE = sum e^2 / n        RMSE = sqrt(MSE)        MAE = sum |e| / n
    R2 = 1 - sum e^2 / sum (r - m)^2
    RMSE by user = mean over users of the RMSE of each user's ratings

All of them are functions of sums over users, so the bootstrap needs only the sums of each user.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mfcli.evaluation.binned_sums import BinnedSums
from mfcli.evaluation.bootstrap import Bootstrap, Measured
from mfcli.evaluation.uncertainty import UNCERTAINTY_FORMULAS, USER_SUMS
from mfcli.evaluation.user_sums import user_sums
from mfcli.types import Doubles

Term: TypeAlias = Callable[[NDArray[Any]], NDArray[Any]]
Sums: TypeAlias = Mapping[str, Doubles]
"""Sums over users by name; each is a number, or an array with an entry for each resample."""

RATING_TERMS: dict[str, Term] = {"rating": lambda shifted: shifted, "rating_squared": np.square}
"""Functions of a rating minus a constant, summed over the ratings of each user."""

ERROR_TERMS: dict[str, Term] = {"squared": np.square, "absolute": np.abs}
"""Functions of an error, summed over the ratings of each user."""

USER_TERMS: dict[str, Callable[[Sums], Doubles]] = {
    "user_rmse": lambda user: np.sqrt(user["squared"] / user["ratings"])
}
"""Functions of the sums of one user, summed over users."""


def _r2(sums: Sums) -> Doubles:
    # sum (r - m)^2 = sum r^2 - (sum r)^2 / n, for ratings minus any constant
    variance = sums["rating_squared"] - np.square(sums["rating"]) / sums["ratings"]
    varies = variance > 1e-9 * np.maximum(sums["ratings"], 1)  # beyond rounding errors
    return np.asarray(1 - sums["squared"] / np.where(varies, variance, np.nan))


FORMULAS: dict[str, Callable[[Sums], Doubles]] = {
    "rmse": lambda sums: np.sqrt(sums["squared"] / sums["ratings"]),
    "mse": lambda sums: sums["squared"] / sums["ratings"],
    "mae": lambda sums: sums["absolute"] / sums["ratings"],
    "r2": _r2,
    "user_rmse": lambda sums: sums["user_rmse"] / sums["users"],
}
"""The formula of each rating error in the table of measures."""


def rating_columns(shifted: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Return the columns to sum for ratings minus a constant."""
    return {name: term(shifted) for name, term in RATING_TERMS.items()}


def error_columns(error: NDArray[Any], prefix: str = "") -> dict[str, NDArray[Any]]:
    """Return the columns to sum for errors; the prefix tells several predictors apart."""
    return {prefix + name: term(error) for name, term in ERROR_TERMS.items()}


def measured_errors(
    users: BinnedSums,
    prefixes: Mapping[str, str],
    bootstrap: Bootstrap,
    *,
    uncertainty: bool = False,
) -> dict[str, Measured]:
    """Compute the rating errors of several predictors on the same resamples.

    Parameters
    ----------
    users : BinnedSums
        By user, with the columns `RATING_TERMS` and, for each predictor, `ERROR_TERMS` with its
        prefix.
    prefixes : mapping of str
        By predictor; that of the model is empty.
    bootstrap : Bootstrap
    uncertainty : bool
        Also compute the measures of uncertainty of the model, from the columns `USER_SUMS`.
    """
    shared = (*RATING_TERMS, *(USER_SUMS if uncertainty else ()))
    own = [prefix + name for prefix in prefixes.values() for name in (*ERROR_TERMS, *USER_TERMS)]
    count, totals = int(np.count_nonzero(users.counts)), dict[str, Doubles]()
    with user_sums(("ratings", "users", *shared, *own), count, "resampling users") as sums:
        for name, row in _rows(users, shared, prefixes.values()):
            sums.set(name, row)
            totals[name] = row.sum()
        # One draw of the users serves all measures and predictors, and the same formulas apply to
        # the sums over all users and to those of each resample.
        draws = dict(zip(sums.names, bootstrap.totals(sums), strict=True))
    return {
        name: Measured(
            {measure: _defined(value) for measure, value in _computed(totals, prefix).items()},
            _computed(draws, prefix),
        )
        for name, prefix in prefixes.items()
    }


def _rows(
    users: BinnedSums, shared: Iterable[str], prefixes: Iterable[str]
) -> Iterator[tuple[str, Doubles]]:
    """Yield each sum of the users with ratings."""
    # Users without ratings would divide 0 by 0, and must not be drawn.
    active = users.counts > 0
    ratings = users.counts[active]
    yield "ratings", ratings
    yield "users", np.ones_like(ratings)
    yield from ((name, users[name][active]) for name in shared)
    for prefix in prefixes:
        own = {"ratings": ratings} | {name: users[prefix + name][active] for name in ERROR_TERMS}
        own |= {name: term(own) for name, term in USER_TERMS.items()}
        yield from ((prefix + name, own[name]) for name in (*ERROR_TERMS, *USER_TERMS))


def _computed(sums: Sums, prefix: str) -> dict[str, Doubles]:
    """Compute the measures of the predictor with a prefix."""
    has_distributions = not prefix and {*USER_SUMS} <= {*sums}
    formulas = FORMULAS | (UNCERTAINTY_FORMULAS if has_distributions else {})
    own = {name: sums[prefix + name] for name in (*ERROR_TERMS, *USER_TERMS)}
    with np.errstate(divide="ignore", invalid="ignore"):  # a resample may lack any variance
        return {name: formula({**sums, **own}) for name, formula in formulas.items()}


def _defined(value: Doubles) -> float | None:
    return float(value) if np.isfinite(value) else None  # JSON has no NaN

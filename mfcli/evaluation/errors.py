"""Errors of predicted ratings, from sums over each user's ratings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfcli.evaluation.bootstrap import Bootstrap, Doubles, intervals
from mfcli.evaluation.tallies import Tally

SHARED = ("rating", "rating_squared")
"""Columns of a tally by user that all predictions have in common; ratings less any constant."""

OWN = ("squared", "absolute")
"""Columns for the errors of one kind of prediction."""


@dataclass(frozen=True)
class Errors:
    """Errors of predictions, in rating units.

    Attributes
    ----------
    rmse, mse, mae : float
        Over ratings.
    r2 : float or None
        Share of the variance of these ratings that is explained; None where they do not vary.
    user_rmse : float
        Mean over users of the RMSE of each user's ratings.
    """

    rmse: float
    mse: float
    mae: float
    r2: float | None
    user_rmse: float

    @classmethod
    def of(cls, predicted: NDArray[Any], rating: NDArray[Any], user: NDArray[Any]) -> Errors:
        """Compare predictions to ratings of users 0, 1, ..., all of shape (n,), n > 0."""
        error = predicted.astype(np.float64) - rating
        shifted = rating.astype(np.float64) - rating.mean(dtype=np.float64)
        tally = Tally(int(user.max()) + 1, *SHARED, *OWN)
        tally.add(user, **shared_columns(shifted), **own_columns(error))
        return Measured.of(tally, {"": ""}, Bootstrap(0, 0))[""].errors


@dataclass(frozen=True)
class Measured:
    """Errors and what they were in each resample of the users.

    Attributes
    ----------
    errors : Errors
    draws : dict of float64 arrays, shape (resamples,)
        By the names of the errors.
    """

    errors: Errors
    draws: dict[str, Doubles]

    @classmethod
    def of(
        cls, users: Tally, prefixes: Mapping[str, str], bootstrap: Bootstrap
    ) -> dict[str, Measured]:
        """Measure several kinds of predictions on the same draws.

        Parameters
        ----------
        users : Tally
            By user, of the columns `SHARED` and, for each kind, of `OWN` behind its prefix.
        prefixes : mapping of str
            By kind.
        bootstrap : Bootstrap
        """
        active = users.counts > 0
        ratings = users.counts[active]
        rows = [ratings, np.ones_like(ratings), *(users[name][active] for name in SHARED)]
        for prefix in prefixes.values():
            squared, absolute = (users[prefix + name][active] for name in OWN)
            rows += [squared, absolute, np.sqrt(squared / ratings)]
        matrix = np.array(rows)
        totals, drawn = matrix.sum(axis=1), bootstrap.totals(matrix)
        found = {}
        for number, kind in enumerate(prefixes):
            own = slice(4 + 3 * number, 7 + 3 * number)
            plain = {n: float(v) for n, v in _errors(totals[:4], totals[own]).items()}
            r2 = plain.pop("r2")
            errors = Errors(**plain, r2=r2 if np.isfinite(r2) else None)
            found[kind] = cls(errors, _errors(drawn[:4], drawn[own]))
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return the errors as plain values, with their intervals."""
        return asdict(self.errors) | {"intervals": intervals(self.draws)}


def shared_columns(shifted: NDArray[Any]) -> dict[str, NDArray[Any]]:
    return dict(zip(SHARED, (shifted, np.square(shifted)), strict=True))


def own_columns(error: NDArray[Any], prefix: str = "") -> dict[str, NDArray[Any]]:
    return {prefix + "squared": np.square(error), prefix + "absolute": np.abs(error)}


def _errors(shared: Doubles, own: Doubles) -> dict[str, Doubles]:
    """Work out the errors from sums over users: (4,) and (3,), or (4, n) and (3, n)."""
    ratings, users, rating, rating_squared = shared
    squared, absolute, user_rmse = own
    variance = rating_squared - np.square(rating) / ratings
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = 1 - squared / np.where(variance > 1e-9 * np.maximum(ratings, 1), variance, np.nan)
    mse = squared / ratings
    return {
        "rmse": np.sqrt(mse),
        "mse": mse,
        "mae": absolute / ratings,
        "r2": np.asarray(r2),
        "user_rmse": user_rmse / users,
    }

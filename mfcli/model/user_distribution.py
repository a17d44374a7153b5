"""The distribution of the users' rows of a model, from which new users are assumed to come.

Trained users are weighted by the square roots of their numbers of ratings. With equal weights, the
many users with few ratings, whose rows have hardly moved from zero, would make the covariance too
small; with weights equal to the numbers of ratings, it would describe the most active users only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mfcli.model.folder import StoredModel
from mfcli.types import Doubles, Mask


@dataclass(frozen=True)
class UserDistribution:
    """The normal distribution of the rows [p_u, b_u] of a model's users.

    Attributes
    ----------
    mean : float64 array, shape (k + 1,)
    root : float64 array, shape (k + 1, k + 1)
        L in S = L L', where S is the covariance.
    """

    mean: Doubles
    root: Doubles

    @classmethod
    def of(cls, model: StoredModel) -> UserDistribution:
        """Estimate the distribution from the trained users of a model."""
        rows = np.column_stack([model.user_factors, model.user_biases]).astype(np.float64)
        # Folded-in rows are estimates from this distribution: counting them would narrow it.
        weights = np.where(is_folded_in(model), 0.0, np.sqrt(model.users.counts))
        weights /= weights.sum() or 1.0
        mean = weights @ rows
        centered = rows - mean
        # S = V D V', so L = V D^1/2. Rounding can make eigenvalues slightly negative.
        values, vectors = np.linalg.eigh((centered.T * weights) @ centered)
        return cls(mean, vectors * np.sqrt(np.maximum(values, 0)))


def is_folded_in(model: StoredModel) -> Mask:
    """Return whether each user was folded in."""
    rows = np.zeros(len(model.users), np.bool_)
    for start, end in model.folded_in:
        rows[start:end] = True
    return rows

"""The distribution of the rows of one side of a model, from which new rows are assumed to come.

Trained rows are weighted by the square roots of their numbers of ratings. With equal weights, the
many rows with few ratings, which have hardly moved from zero, would make the covariance too small;
with weights equal to the numbers of ratings, it would describe the most active users, or the most
popular items, only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mfcli.model.folder import StoredModel
from mfcli.types import Doubles, Mask


@dataclass(frozen=True)
class RowDistribution:
    """The normal distribution of the rows [p, b] of a model's users, or [q, b] of its items.

    Attributes
    ----------
    mean : float64 array, shape (k + 1,)
    root : float64 array, shape (k + 1, k + 1)
        L in S = L L', where S is the covariance.
    """

    mean: Doubles
    root: Doubles

    @classmethod
    def of(cls, model: StoredModel, side: str) -> RowDistribution:
        """Estimate the distribution from the trained rows of a side, "user" or "item"."""
        tables, counts = model.tables, model.side(side).counts
        parts = [tables[f"{side}_factors"], tables[f"{side}_biases"]]
        rows = np.column_stack(parts).astype(np.float64)
        # Folded-in rows are estimates from this distribution: counting them would narrow it.
        weights: Doubles = np.where(is_trained(model, side), np.sqrt(counts), 0.0)
        weights /= weights.sum() or 1.0
        mean = weights @ rows
        centered = rows - mean
        # S = V D V', so L = V D^1/2. Rounding can make eigenvalues slightly negative.
        values, vectors = np.linalg.eigh((centered.T * weights) @ centered)
        return cls(mean, vectors * np.sqrt(np.maximum(values, 0)))


def is_trained(model: StoredModel, side: str) -> Mask:
    """Return whether each row of a side has training ratings and was not folded in."""
    return (model.side(side).counts > 0) & ~is_folded_in(model, side)


def is_folded_in(model: StoredModel, side: str) -> Mask:
    """Return whether each row of a side was folded in."""
    rows = np.zeros(len(model.side(side)), np.bool_)
    for start, end in model.folded_in if side == "user" else model.folded_in_items:
        rows[start:end] = True
    return rows


def other_side(side: str) -> str:
    """Return "item" for "user", and the other way round."""
    return {"user": "item", "item": "user"}[side]

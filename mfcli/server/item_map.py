"""A map of items: the plane of the two main directions of their factors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mfcli.types import Doubles, Floats


class Places(NamedTuple):
    """Places of items on a map.

    Attributes
    ----------
    x, y : float64 arrays, shape (n,)
    variance : float64 array, shape (2,)
        Fractions of the variance of the factors in the two directions.
    """

    x: Doubles
    y: Doubles
    variance: Doubles


def places_of(factors: Floats) -> Places:
    """Return the places of items: the first two principal components of their factors.

    The sign of a direction is that in which its largest entry is positive, so that the same
    factors always have the same map.

    Parameters
    ----------
    factors : float32 array, shape (n, k)
    """
    rows = factors.astype(np.float64)
    centered = rows - rows.mean(axis=0) if len(rows) else rows
    values, vectors = np.linalg.eigh(centered.T @ centered)  # ascending
    variances = np.maximum(values[::-1], 0)
    axes = vectors.T[::-1][:2]
    largest = np.abs(axes).argmax(axis=1)
    signs = np.where(axes[np.arange(len(axes)), largest] < 0, -1.0, 1.0)
    places = np.zeros((len(rows), 2))
    places[:, : len(axes)] = centered @ (axes * signs[:, None]).T
    shares = np.zeros(2)
    shares[: len(axes)] = variances[:2] / (variances.sum() or 1.0)
    return Places(places[:, 0], places[:, 1], shares)

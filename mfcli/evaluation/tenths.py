"""Tenths of users, items or ratings, from few to many training ratings."""

from __future__ import annotations

import numpy as np

from mfcli.storage import Section, Whole
from mfcli.types import Counts, Doubles

TENTHS = 10


class Tenth(Section):
    """About a tenth of what is divided.

    Attributes
    ----------
    low, high : int
        Smallest and largest number of training ratings of these users (or items).
    ids : int
        The number of these users (or items).
    """

    low: Whole
    high: Whole
    ids: Whole


def tenth_of(sizes: Doubles) -> Counts:
    """Return the tenth, from 0 to 9, that each of several groups in order belongs to.

    Groups are not divided, so there may be fewer tenths, and some may be larger than others.

    Parameters
    ----------
    sizes : float64 array, shape (n,)
        Above 0.
    """
    middle = np.cumsum(sizes) - sizes / 2  # a group belongs to the tenth of its middle
    tenths: Counts = (middle * TENTHS / sizes.sum()).astype(np.int64)
    return tenths

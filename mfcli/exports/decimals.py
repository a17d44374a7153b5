"""Weights as decimal numbers that any program reads back exactly."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from mfcli.data import to_arrow
from mfcli.types import Floats

DIGITS = 9
"""Decimal digits that distinguish any two float32 numbers."""


def nine_digits(values: Floats) -> pa.Array:
    """Round to nine significant digits, as doubles that are written with these digits.

    Nine digits are off by at most 5e-9 of the number, and its float32 neighbors by 6e-8. So even
    programs that read a double first and then round it to float32 get the same number. The
    shortest digits that identify a float32 can be close to the midpoint of two, where rounding
    twice gives the wrong one.
    """
    wide = values.astype(np.float64)
    # Zero has no logarithm; any scale rounds it to zero.
    size = np.abs(np.where(wide == 0, 1, wide))
    scale = 10.0 ** (DIGITS - 1 - np.floor(np.log10(size)))
    return to_arrow(np.rint(wide * scale) / scale)

"""Types that several packages use, each with one meaning."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
"""Weights, ratings and predictions."""

Doubles: TypeAlias = NDArray[np.float64]
"""Sums, statistics and other numbers that need double precision."""

Rows: TypeAlias = NDArray[np.int32]
"""Row numbers of users or items, counted from 0; -1 for an unknown id."""

Counts: TypeAlias = NDArray[np.int64]
"""Numbers of ratings."""

Mask: TypeAlias = NDArray[np.bool_]
"""Whether each row or rating is selected."""

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the amount done and the total, in ratings, bytes, users or epochs."""

StageProgress: TypeAlias = Callable[[str, int, int], None]
"""Called with the name of a stage of the work, and the amount done and the total in it."""

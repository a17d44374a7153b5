"""The selection of values by masks, compiled if there are many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from mfcli.data.sizes import MANY
from mfcli.types import Mask


def selecting(total: int) -> Callable[[NDArray[Any], Mask, NDArray[Any]], NDArray[Any]]:
    """Return a function of values of 4 or 8 bytes, a mask, and memory for what it returns.

    The memory, an array of the type of the values, has room for one value more than there are.

    Parameters
    ----------
    total : int
        Number of values that will be selected from.
    """
    if total <= MANY:
        return lambda values, mask, memory: values[mask]
    # Imported here because it loads Numba, which takes longer than to select few values.
    from mfcli.data.compression import compressed

    return compressed

"""How many bytes numbers need; without compiled code, so that plans are made quickly."""

from __future__ import annotations

ROW = 4
"""Bytes of a row number that is not packed."""


def width_of(count: int) -> int:
    """Return how many bytes the numbers from 0 to ``count - 1`` need, at least one."""
    return max(1, -(-(count - 1).bit_length() // 8))


def mask_of(size: int) -> int:
    """Return a mask of the lowest `size` bytes."""
    return (1 << 8 * size) - 1

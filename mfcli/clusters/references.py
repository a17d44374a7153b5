"""References to objects in Ray's store."""

from __future__ import annotations

from typing import Any, TypeAlias

OBJECT = 1 << 26
"""Bytes of an object in the store, at most: larger ones travel slowly between nodes."""

Reference: TypeAlias = Any
"""An object in the store, which may not be computed yet; it exists as long as a reference does."""

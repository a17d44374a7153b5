"""References to objects in Ray's store."""

from __future__ import annotations

from typing import Any, TypeAlias

Reference: TypeAlias = Any
"""An object in the store, which may not be computed yet; it exists as long as a reference does."""

"""Columns as lines for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def lines_of(columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return a dict for each line of columns of the same length."""
    return [dict(zip(columns, line, strict=True)) for line in zip(*columns.values(), strict=True)]

"""Values of settings as text."""

from __future__ import annotations

from typing import Any


def value_text(value: Any) -> str:
    """Format the value of a setting or of a record for people."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        return ",".join(map(value_text, value))
    # An empty text is the value of settings that are not set, such as `cut`.
    return f"{value:g}" if isinstance(value, float) else str(value) or "none"

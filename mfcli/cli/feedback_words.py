"""What ratings are called in tables: ratings, or interactions and their strengths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mfcli import data
from mfcli.cli.formatting import scale


class FeedbackWords(NamedTuple):
    """The words for one kind of feedback.

    Attributes
    ----------
    rows : str
        What the rows are called after merging, in the plural.
    value : str
        What their values are called.
    mean, scale : str
        Labels of the mean and of the range of the values.
    """

    rows: str
    value: str
    mean: str
    scale: str


def words_for(feedback: str) -> FeedbackWords:
    """Return the words for a kind of feedback."""
    rows = data.rows_of(feedback)
    if feedback != data.IMPLICIT:
        return FeedbackWords(rows, "rating", "mean", "scale")
    return FeedbackWords(rows, "strength", "mean strength", "strengths")


def merged_label(feedback: str, source: Mapping[str, Any] | None) -> str:
    """Return the label of the number of rows that were merged, given the record of their source."""
    if feedback != data.IMPLICIT:
        return "duplicates merged"
    is_sum = source and source["settings"].get("duplicates") == "sum"
    return "repeated rows added up" if is_sum else "repeated rows merged"


def range_text(feedback: str, low: float, high: float, step: float | None) -> str:
    """Format the range of ratings with their step, or that of strengths."""
    if feedback != data.IMPLICIT:
        return scale(low, high, step)
    return f"all {strength(low)}" if low == high else f"{strength(low)} to {strength(high)}"


def strength(value: float) -> str:
    """Format a strength, such as "352,698" or "0.125"."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.4g}"

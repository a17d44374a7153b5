"""What ratings mean: opinions (explicit), or events and their strengths (implicit feedback)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from mfcli.errors import DataError, Param, UsageError

EXPLICIT, IMPLICIT = "explicit", "implicit"


def rows_of(feedback: str) -> str:
    """Return what rows are called after merging, in the plural."""
    return "interactions" if feedback == IMPLICIT else "ratings"


def positive_roles(implicit: bool) -> tuple[str, ...]:
    """Return the roles whose values must be positive: weights, and the strengths of events."""
    return ("weight", "rating") if implicit else ("weight",)


class Meaning(NamedTuple):
    """How the values of ratings are read, after defaults are resolved.

    Attributes
    ----------
    feedback : {"explicit", "implicit"}
    duplicates : str
        How ratings of the same user and item are merged.
    """

    feedback: str
    duplicates: str

    @property
    def implicit(self) -> bool:
        return self.feedback == IMPLICIT


def meaning_of(has_ratings: bool, feedback: str | None, duplicates: str | None) -> Meaning:
    """Resolve the settings `feedback` and `duplicates`, of which each may be None.

    Without a rating column, each row is an event. Events and strengths of a pair add up.

    Raises
    ------
    UsageError
        If ratings are to be explicit, but there is no column of them.
    """
    if not has_ratings and feedback == EXPLICIT:
        raise UsageError(
            "must be implicit without a rating column",
            param="feedback",
            value=feedback,
            remedy=["omit it, or name the column with ", Param("columns.rating")],
        )
    found = feedback or (EXPLICIT if has_ratings else IMPLICIT)
    return Meaning(found, duplicates or ("sum" if found == IMPLICIT else "keep-last"))


def common_feedback(feedbacks: Mapping[str, str]) -> str:
    """Return what the ratings of several parts mean, by name, if all agree.

    Raises
    ------
    DataError
    """
    (first, feedback), *others = feedbacks.items()
    for name, other in others:
        if other != feedback:
            raise DataError(
                f"is {other} feedback, but {first} is {feedback}",
                place=name,
                remedy=["read both with the same ", Param("feedback")],
            )
    return feedback

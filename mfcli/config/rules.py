"""Rules for the values of settings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from mfcli.config.durations import DURATION_RULE, seconds_in


@dataclass(frozen=True)
class Rule:
    """The values that a setting may take.

    Attributes
    ----------
    low, high : float, optional
        Inclusive bounds.
    above, below : float, optional
        Exclusive bounds.
    choices : tuple of str
        For text, the allowed words; empty if any text is allowed.
    encoding : bool
        Whether a text must be the name of an encoding.
    duration : bool
        Whether a text must be a duration.
    """

    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    encoding: bool = False
    duration: bool = False

    def __str__(self) -> str:
        """Describe the rule in words that follow "must be"."""
        if self.choices:
            # Quote marks such as "." and ",", which are easy to miss in a sentence.
            words = [word if word[0].isalnum() else repr(word) for word in self.choices]
            return f"{', '.join(words[:-1])} or {words[-1]}"
        if self.encoding:
            return "an encoding of text, such as utf-8, latin-1 or cp1252"
        if self.duration:
            return DURATION_RULE
        bounds = [
            (self.low, "at least"),
            (self.above, "above"),
            (self.high, "at most"),
            (self.below, "below"),
        ]
        return " and ".join(f"{word} {bound:g}" for bound, word in bounds if bound is not None)

    def allows(self, value: Any) -> bool:
        """Return whether a value of the right type follows the rule; NaN and infinity never do."""
        if isinstance(value, str):
            return (
                (not self.choices or value in self.choices)
                and (not self.encoding or _is_text_encoding(value))
                and (not self.duration or _is_duration(value))
            )
        return (
            math.isfinite(value)
            and (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )


def _is_text_encoding(name: str) -> bool:
    """Return whether Python knows an encoding of text by this name."""
    try:
        "a".encode(name)  # `codecs.lookup` also finds codecs that are not of text, such as base64
    except (LookupError, ValueError):  # unknown, not of text, or not a name
        return False
    return True


def _is_duration(text: str) -> bool:
    try:
        seconds_in(text)
    except ValueError:
        return False
    return True

"""Trials, as they are stored and as they are reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from mfcli.storage import Section

TENTHS = 10  # of the epochs of a trial; after each, it is compared with earlier trials


class Trial(Section):
    """A trial that has ended.

    Attributes
    ----------
    trial : int
        Its number, counted from 1.
    state : str
        "complete"; "pruned" if it ended early because it was worse than others or diverged;
        "failed" if it could not be trained.
    settings : dict
        The values it tried, by their names in the space.
    curve : list of float
        The validation measure after each tenth of its epochs; `TENTHS` values if it is complete.
    reason : str
        Why it failed.
    """

    trial: int
    state: Literal["complete", "pruned", "failed"]
    settings: dict[str, Any]
    curve: list[float]
    reason: str = ""

    def __post_init__(self) -> None:
        fits = {
            "complete": len(self.curve) == TENTHS,
            "pruned": 0 < len(self.curve) < TENTHS,
            "failed": not self.curve,
        }
        if self.trial < 1 or not fits[self.state]:
            raise ValueError(
                f"trial {self.trial} is {self.state}, but has {len(self.curve)} values"
            )


@dataclass(frozen=True)
class Attempt:
    """A trial that was trained, to the end or in part.

    Attributes
    ----------
    number : int
        Counted from 1.
    settings : dict
        The values it tried, by their names in the space.
    value : float
        Of the measure that the search follows, after its last epoch.
    is_complete : bool
        False if it was pruned, that is, ended early because it was worse than others.
    """

    number: int
    settings: dict[str, Any]
    value: float
    is_complete: bool

    @classmethod
    def of(cls, trial: Trial) -> Attempt:
        return cls(trial.trial, trial.settings, trial.curve[-1], trial.state == "complete")

"""The result of a trial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Attempt:
    """A trial that has ended.

    Attributes
    ----------
    number : int
        Counted from 1.
    settings : dict
        The values it tried, by their names in the space.
    rmse : float
        On the validation ratings, after its last epoch.
    is_complete : bool
        False if it was pruned, that is, ended early because it was worse than others.
    """

    number: int
    settings: dict[str, Any]
    rmse: float
    is_complete: bool

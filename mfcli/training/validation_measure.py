"""The measure that validation follows, and the rankings that it may need."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from mfcli.config import Config
from mfcli.data import IMPLICIT
from mfcli.errors import Param, warn
from mfcli.splits import Split
from mfcli.training.history import Epoch

if TYPE_CHECKING:
    from mfcli.rankings import RankedValidation

MOST_RANKED = 5_000
"""Users, at most, whose rankings validate an epoch: a sample, so that validation costs little."""

_ERROR = "rmse"


@dataclass(frozen=True)
class ValidationMeasure:
    """The measure that validation follows.

    Attributes
    ----------
    name : {"rmse", "ndcg", "recall", "map"}
    at : int
        Ranking cutoff; not used by "rmse".
    """

    name: str = _ERROR
    at: int = 0

    @classmethod
    def of(cls, config: Config) -> Self:
        """Return the measure that a config follows."""
        return cls(config.followed, config.cutoffs[0])

    @property
    def is_ranking(self) -> bool:
        return self.name != _ERROR

    @property
    def label(self) -> str:
        """The name to show, such as "RMSE" or "NDCG@10"."""
        label = self.name if self.name == "recall" else self.name.upper()
        return f"{label}@{self.at}" if self.is_ranking else label

    @property
    def better(self) -> str:
        """Which values are better: "lower" or "higher" ones."""
        return "higher" if self.is_ranking else "lower"

    @property
    def list_name(self) -> str:
        """The list of a history from which the measure follows."""
        return f"val_{self.name}" if self.is_ranking else "val_mse"

    @property
    def worst(self) -> float:
        """A value than which all others are better."""
        return -math.inf if self.is_ranking else math.inf

    def of_losses(self, losses: Mapping[str, float | None]) -> float:
        """Return the value after an epoch with these losses; NaN if it was not measured."""
        value = losses.get(self.list_name)
        if value is None:
            return math.nan
        return value if self.is_ranking else math.sqrt(value)

    def of_epoch(self, epoch: Epoch) -> float:
        """Return the value after an epoch."""
        return self.of_losses(vars(epoch))

    def is_better(self, value: float, other: float, by: float = 0.0) -> bool:
        """Return whether a value is better than another one by more than a difference."""
        return value > other + by if self.is_ranking else value < other - by


def ranked_validation(split: Split, config: Config, threads: int) -> RankedValidation | None:
    """Return what measures rankings on the held-out ratings; None if none are followed or held out.

    The same sample of at most `MOST_RANKED` users is measured for all models of a split.

    Warns
    -----
    MfcliWarning
        If no held-out user has training ratings.

    Raises
    ------
    DataError
        If no held-out rating is relevant.
    """
    if not ValidationMeasure.of(config).is_ranking or not split.held_out:
        return None
    _, held_out = split.held_out
    from mfcli.rankings import RankedValidation  # loads the kernels of rankings

    if not split.train.users.counts[held_out.user].any():  # a split by users
        warn(
            "no held-out user has training ratings, so all get the same ranking, and validation by"
            " rankings does not compare epochs",
            remedy=["measure the model with ", Param("protocol", "strong-generalization")],
        )
    return RankedValidation(
        held_out,
        split.train,
        at=config.cutoffs[0],
        relevant=None if split.feedback == IMPLICIT else config.relevant,
        threads=threads,
        most_users=MOST_RANKED,
    )

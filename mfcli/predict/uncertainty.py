"""What predictions say about their uncertainty, and the columns for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mfcli.arguments import check_probability
from mfcli.data import to_arrow
from mfcli.errors import UsageError
from mfcli.types import Floats

if TYPE_CHECKING:
    from mfcli.model import RatingDistribution, StoredModel


@dataclass(frozen=True)
class Uncertainty:
    """What to add to predicted ratings.

    Attributes
    ----------
    interval : float, optional
        Probability that a rating is within the columns `low` and `high`.
    probability : float, optional
        The column `probability` is that of this rating or a higher one.

    Raises
    ------
    UsageError
        If the interval is not above 0 and below 1, or the rating is not finite.
    """

    interval: float | None = None
    probability: float | None = None

    def __post_init__(self) -> None:
        if self.interval is not None:
            check_probability(self.interval, "interval")
        if self.probability is not None and not math.isfinite(self.probability):
            raise UsageError("must be finite", param="probability", value=self.probability)

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        ends = [] if self.interval is None else ["low", "high"]
        return ends if self.probability is None else [*ends, "probability"]

    def check(self, model: StoredModel) -> None:
        """Refuse a model that predicts scores, of which no rating is an observation.

        Raises
        ------
        UsageError
        """
        if self.names and model.predicts == "scores":
            param = "probability" if self.interval is None else "interval"
            rule = "is not available for a model that predicts scores"
            raise UsageError(rule, param=param, remedy="omit it")

    def columns(self, found: RatingDistribution, *, clip: bool) -> dict[str, pa.Array]:
        """Return the columns, of float32."""
        values: list[Floats] = []
        if self.interval is not None:
            values += found.interval(self.interval, clip=clip)
        if self.probability is not None:
            values.append(found.at_least(self.probability).astype(np.float32))
        return dict(zip(self.names, map(to_arrow, values), strict=True))


NOTHING = Uncertainty()

"""By what recommendations are sorted: expected ratings, bounds of them, or draws."""

from __future__ import annotations

from dataclasses import dataclass

from mfcli.arguments import check_count, check_probability
from mfcli.errors import UsageError

SORTS = ("mean", "low", "high", "sample")
"""The orders by name."""

_COVERAGE = 0.9


@dataclass(frozen=True)
class Order:
    """By what items are sorted.

    Attributes
    ----------
    sort : {"mean", "low", "high", "sample"}
        The expected rating (mean), a bound of its interval (low or high), or the rating in one
        sample of the posterior for each user (sample).
    interval : float, optional
        Probability with which an expected rating is in its interval: 0.9 if an order needs one;
        otherwise, by default, there are no intervals.
    seed : int
        For the draw of samples.

    Raises
    ------
    UsageError
        If an attribute breaks its rule.
    """

    sort: str = "mean"
    interval: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.sort not in SORTS:
            rule = f"must be {', '.join(SORTS[:-1])} or {SORTS[-1]}"
            raise UsageError(rule, param="sort", value=self.sort)
        if self.interval is not None:
            check_probability(self.interval, "interval")
        check_count(self.seed, "seed", 0)

    @property
    def coverage(self) -> float | None:
        """Probability of the intervals that are shown; None for no intervals."""
        if self.interval is None and self.sort in ("low", "high"):
            return _COVERAGE
        return self.interval

    @property
    def needs_samples(self) -> bool:
        """Whether the order or the intervals need a model with samples."""
        return self.sort != "mean" or self.interval is not None

    @property
    def deviations(self) -> float:
        """Standard deviations from an expected rating to what items are sorted by."""
        if self.sort not in ("low", "high"):
            return 0.0
        from statistics import NormalDist  # help of the command line does not need it

        half = NormalDist().inv_cdf((1 + (self.coverage or _COVERAGE)) / 2)
        return -half if self.sort == "low" else half


BY_MEAN = Order()

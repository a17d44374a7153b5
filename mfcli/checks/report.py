"""The report of `mfcli check`: facts about ratings, and warnings that follow from them."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass, replace
from typing import Any

from mfcli import __version__
from mfcli.arguments import check_type
from mfcli.checks.cost import Cost, cost_of
from mfcli.checks.facts import Facts, facts_of
from mfcli.checks.warnings import DataWarning, warnings_about_k, warnings_of
from mfcli.config import DEFAULTS, Config
from mfcli.data import IMPLICIT, Buckets, Ratings, RatingsLike, as_ratings
from mfcli.errors import Param, Spell

_FORMAT = 1


@dataclass(frozen=True)
class Report(Facts):
    """Facts about ratings, the cost of training, and warnings.

    Attributes
    ----------
    cost : Cost or None
        None if the config selects the Keras engine, or for implicit feedback.
    warnings : list of DataWarning
    """

    cost: Cost | None
    warnings: list[DataWarning]

    @property
    def implicit_reading(self) -> list[Param]:
        """The arguments of `read_ratings` that read these data as implicit feedback.

        Empty for what looks like ratings.
        """
        if self.is_implicit:
            events = self.source is not None and "rating" not in self.source.columns
            return [Param("columns.rating", "") if events else Param("feedback", IMPLICIT)]
        if self.values.distinct == 1:
            return [Param("columns.rating", "")]
        if not self.values.counts:
            return []
        zeros = [Param("on_bad_row", "skip")] if self.values.min <= 0 else []
        return [Param("feedback", IMPLICIT), *zeros]

    def as_dict(self, spell: Spell = str) -> dict[str, Any]:
        """Return the report as plain values.

        Parameters
        ----------
        spell : callable
            Spells the parameters in the remedies of warnings; as in Python by default.
        """
        # `asdict` would copy the parts of a remedy; a warning spells them out itself.
        facts = dataclasses.asdict(replace(self, warnings=[]))
        warnings = [warning.as_dict(spell) for warning in self.warnings]
        return {"format": _FORMAT, "mfcli": __version__, **facts, "warnings": warnings}


def check(
    ratings: RatingsLike | Buckets, config: Config = DEFAULTS, *, now: float | None = None
) -> Report:
    """Describe ratings, and point out problems before training.

    Parameters
    ----------
    ratings : Ratings, or what `ratings_from` takes
    config : Config
        For the cost of training, and whether k suits the data.
    now : float, optional
        Seconds since 1970; the current time by default.

    Raises
    ------
    DataError, UsageError
        As `ratings_from`, or if an argument has another type.
    LimitError
        If the distinct ratings do not fit in memory.
    """
    buckets = ratings if isinstance(ratings, Buckets) else _counted(as_ratings(ratings, "ratings"))
    check_type(config, Config, "config")
    # `now` is an argument, so that a report can be reproduced.
    facts = facts_of(buckets, time.time() if now is None else now)
    warnings = [*warnings_of(facts), *warnings_about_k(facts, config)]
    return Report(**vars(facts), cost=cost_of(facts, buckets, config), warnings=warnings)


def _counted(ratings: Ratings) -> Buckets:
    """Return ratings with vocabularies that count them: those of a part of a split may not."""
    users, items = ratings.users.counting(ratings.user), ratings.items.counting(ratings.item)
    return Buckets.of(ratings.over(users, items))


def serious_warnings(buckets: Buckets, *, now: float | None = None) -> list[DataWarning]:
    """Return the warnings of `check` that suggest that a file was misread or has faults.

    Parameters
    ----------
    buckets : Buckets
        The parts of the ratings may be assigned in the meantime.
    now : float, optional
        As for `check`.
    """
    facts = facts_of(buckets, time.time() if now is None else now)
    return [warning for warning in warnings_of(facts) if warning.serious]

"""What a report knows about all ratings of a split."""

from __future__ import annotations

from dataclasses import dataclass

from mfcli.checks import Report, check
from mfcli.config import DEFAULTS, Config
from mfcli.data import Buckets, Ratings
from mfcli.reports.curves import Curve, TimeCounts, rank_curve, share_curve, time_counts
from mfcli.reports.split_data import SplitData


@dataclass(frozen=True)
class DataFacts:
    """Facts about ratings, and curves.

    Attributes
    ----------
    report : Report
        As `check` returns it.
    user_ranks, item_ranks, user_shares, item_shares : Curve
    times : TimeCounts or None
        None if there are no times, or they are not dates.
    """

    report: Report
    user_ranks: Curve
    item_ranks: Curve
    user_shares: Curve
    item_shares: Curve
    times: TimeCounts | None


def data_facts(split: SplitData, config: Config | None) -> DataFacts:
    """Find the facts about the ratings of a split.

    Parameters
    ----------
    split : SplitData
    config : Config, optional
        Of the training: whether k suits the data.
    """
    ratings = split.ratings()
    # What is in the future is judged by the time of the split, so that a report can be repeated.
    report = check(Buckets.of(ratings), config or DEFAULTS, now=split.made)
    users, items = ratings.users.counts, ratings.items.counts
    return DataFacts(
        report,
        rank_curve(users),
        rank_curve(items),
        share_curve(users),
        share_curve(items),
        _times(ratings, report),
    )


def _times(ratings: Ratings, report: Report) -> TimeCounts | None:
    found = report.times
    if ratings.timestamp is None or found is None or found.small or found.unit != "seconds":
        return None
    first, last = int(ratings.timestamp.min()), int(ratings.timestamp.max())
    return time_counts(ratings.pieces("timestamp"), first, last)

"""Break down the accuracy of rankings by the activity of users and the popularity of items."""

from __future__ import annotations

import numpy as np

from mfcli.evaluation.bootstrap import Interval
from mfcli.evaluation.group_intervals import ratio_interval
from mfcli.evaluation.tenths import TENTHS, Tenth, tenth_of
from mfcli.storage import Section
from mfcli.types import Counts, Doubles


class RankedGroup(Tenth):
    """The accuracy for a tenth of the users, or of the relevant ratings.

    Attributes
    ----------
    low, high, ids : int
        As in `Tenth`.
    value : float
        The NDCG of these users; of items, the fraction of their relevant ratings that are found.
    interval : tuple or None
        The ends of its confidence interval, over these users (or items); None for fewer than two.
    """

    value: float
    interval: Interval | None


class RankingBreakdown(Section):
    """The accuracy of rankings at the main cutoff, from few to many training ratings.

    Attributes
    ----------
    user_activity : list of RankedGroup
        NDCG by the number of ratings from which users are known.
    item_popularity : list of RankedGroup
        Recall by the number of training ratings of the relevant items. Items that the model does
        not know are left out.
    """

    user_activity: list[RankedGroup]
    item_popularity: list[RankedGroup]

    def __post_init__(self) -> None:
        for name, rows in (("user_activity", self.user_activity),
                           ("item_popularity", self.item_popularity)):  # fmt: skip
            if len(rows) > TENTHS:
                raise ValueError(f"ranking_breakdown.{name} must have at most {TENTHS} entries")


def ranking_breakdown(
    activity: Counts, ndcg: Doubles, popularity: Counts, hits: Counts, relevant: Counts
) -> RankingBreakdown:
    """Divide users and relevant ratings into tenths.

    Parameters
    ----------
    activity, ndcg : int64 and float64 arrays, shape (n_users,)
        Of the users with relevant items.
    popularity, hits, relevant : int64 arrays, shape (n_items,)
        Training ratings of each item, and the users to whom it is relevant: those in whose rankings
        it is, and all.
    """
    return RankingBreakdown(
        user_activity=_tenths(activity, ndcg, np.ones_like(ndcg)),
        item_popularity=_tenths(popularity, hits.astype(float), relevant.astype(float)),
    )


def _tenths(amounts: Counts, parts: Doubles, wholes: Doubles) -> list[RankedGroup]:
    """Divide ids by their amounts, so that each group has about a tenth of the wholes.

    Ids with the same amount stay together, so there may be fewer groups.
    """
    some = wholes > 0
    amounts, parts, wholes = amounts[some], parts[some], wholes[some]
    values, place = np.unique(amounts, return_inverse=True)
    sums = np.bincount(place, wholes, len(values)).astype(np.float64)
    tenth = tenth_of(sums)[place]
    return [
        _group(amounts[tenth == n], parts[tenth == n], wholes[tenth == n]) for n in np.unique(tenth)
    ]


def _group(amounts: Counts, parts: Doubles, wholes: Doubles) -> RankedGroup:
    part, whole = float(parts.sum()), float(wholes.sum())
    pairs = (parts, parts), (parts, wholes), (wholes, wholes)
    products = (float((a * b).sum()) for a, b in pairs)
    ends = ratio_interval(len(parts), whole, part, *products)
    return RankedGroup(
        low=int(amounts.min()),
        high=int(amounts.max()),
        ids=len(amounts),
        value=part / whole,
        interval=ends and (max(ends[0], 0.0), min(ends[1], 1.0)),
    )

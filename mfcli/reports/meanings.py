"""What each measure means, in plain words."""

from __future__ import annotations

MEANINGS = {
    "rmse": "typical size of an error; large errors count more",
    "mse": "mean of the squared errors",
    "mae": "mean size of an error",
    "r2": "fraction of the variance of the ratings that is predicted",
    "user_rmse": "RMSE of each user, averaged over users",
    "log_score": "how probable the ratings were under the predicted distributions",
    "log_score_gain": "the same, compared with one constant uncertainty",
    "interval_coverage": "fraction of the ratings inside their predicted intervals",
    "ndcg": "quality of the order: relevant items count more near the top; 1 is perfect",
    "recall": "fraction of a user's relevant items that are in the list",
    "precision": "fraction of the list that is relevant",
    "map": "precision, averaged over the places of relevant items",
    "mrr": "1 divided by the place of the first relevant item",
    "hit_rate": "fraction of the users whose list has a relevant item",
    "coverage": "fraction of all items that are in some list",
    "gini": "inequality of how often items are listed; 0 is even",
    "popularity": "mean fraction of items with fewer ratings than a listed item",
    "long_tail": "fraction of the listed items outside those that have 80% of the ratings",
    "novelty": "mean surprise of a listed item: higher the fewer users have rated it",
    "diversity": "how much the items of a list differ (1 minus the cosine of their factors)",
    "popularity_deviation": "how far lists and users differ in their mix of popular and rare items",
    "ndcg_gap": "NDCG of the more active half of the users minus that of the others",
}
"""A short explanation of each measure by name."""


def meaning_of(measure: str) -> str:
    """Return what a measure means; measures at other cutoffs mean the same as at the main one."""
    return MEANINGS[measure.partition("@")[0]]

"""Recommended settings for models that rank items, each with its reason.

They gave the highest NDCG@10 on validation ratings of two small data sets (random and last ratings
held out), and on MovieLens-1M, or were within noise of it; nothing depended on the density.
"""

from __future__ import annotations

import numpy as np

from mfcli.config import Chosen, Config
from mfcli.data import IMPLICIT
from mfcli.model import pair_weights
from mfcli.search.trained_ratings import relevant_rating, trained_rows
from mfcli.splits import Split

_FACTORS, _EPOCHS = 128, 8
_UNRATED = 0.1  # times the weight of a rated pair


def ranking_advice(split: Split) -> list[Chosen]:
    """Recommend settings for training on a split and for evaluation; test ratings are not used."""
    is_implicit = split.feedback == IMPLICIT
    return [
        Chosen(
            "optimizer",
            "als",
            "Alternating least squares also learns from the pairs that nobody rated. Without them,"
            " rankings are often worse than a list of the most popular items.",
        ),
        Chosen(
            "target",
            "rated",
            "A rated pair counts as 1 and an unrated pair as 0, so the model predicts scores that"
            " rank items, not ratings.",
        ),
        *(_strength_weights(split) if is_implicit else _rating_weights()),
        Chosen("biases", False, "With biases, NDCG was 10% to 17% lower."),
        _penalty(is_implicit),
        _factors(split),
        Chosen(
            "epochs",
            _EPOCHS,
            "Each epoch solves for all items and then for all users. With 4, NDCG was 1% lower;"
            " with 12, it was the same.",
        ),
        *([] if is_implicit else [relevant_rating(split)]),
    ]


def _rating_weights() -> list[Chosen]:
    return [
        Chosen(
            "unrated_weight",
            _UNRATED,
            "Unrated pairs count little: most are unknown, not disliked. With a weight of 0.03,"
            " NDCG was 4% lower; with 0.3, 11%.",
        ),
        Chosen(
            "rating_weight",
            "squared",
            "Higher ratings count more. With equal weights (none), NDCG was 20% lower.",
        ),
    ]


def _strength_weights(split: Split) -> list[Chosen]:
    kind, why = "none", "All pairs with events have the same strength."
    if split.scale.min < split.scale.max:
        kind = "log"
        why = "A strength r counts 1 + log(1 + r), so that a few pairs with many events do not"
        why += " dominate."
    weights = pair_weights(split.train, split.scale, Config(rating_weight=kind))
    mean = 1.0 if weights is None else float(weights.mean(dtype=np.float64))
    return [
        Chosen(
            "unrated_weight",
            float(f"{_UNRATED * mean:.2g}"),
            "A pair without events counts a tenth of the mean pair with events: most are unknown,"
            " not disliked.",
        ),
        Chosen("rating_weight", kind, why),
    ]


def _penalty(is_implicit: bool) -> Chosen:
    if is_implicit:
        reason = "This penalty matters most. On the pairs of real ratings, NDCG was 6% lower with"
        return Chosen("reg", 0.02, f"{reason} 0.01.")
    reason = "This penalty matters most. With 0.003, NDCG was 16% lower; with 0.03, 30%."
    return Chosen("reg", 0.01, reason)


def _factors(split: Split) -> Chosen:
    reason = (
        "With 64 factors, NDCG was 5% lower; with 256, 1% to 2% higher, but an epoch takes several"
        " times as long."
    )
    # More factors than rows cannot improve the model.
    return Chosen("k", min(_FACTORS, *trained_rows(split)), reason)

"""Recommended settings for models that rank items, each with its reason."""

from __future__ import annotations

from mfcli.config import Chosen
from mfcli.search.trained_ratings import is_implicit, relevant_rating, trained_rows
from mfcli.splits import Split

_FACTORS, _EPOCHS = 128, 12
_WEIGHT, _REG = 0.1, 0.01


def ranking_advice(split: Split) -> list[Chosen]:
    """Recommend settings for training on a split and for evaluation; test ratings are not used."""
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
        Chosen(
            "biases",
            False,
            "On every data set that we tried, rankings were better without biases.",
        ),
        *_weights(split),
        Chosen(
            "reg",
            _REG,
            "This penalty matters most: with a third or three times of it, NDCG was 12% to 30%"
            " lower.",
        ),
        _factors(split),
        Chosen(
            "epochs",
            _EPOCHS,
            "Each epoch solves for all items and then for all users. After about 8, rankings hardly"
            " change.",
        ),
        *([] if is_implicit(split) else [relevant_rating(split)]),
    ]


def _weights(split: Split) -> list[Chosen]:
    """Choose the weights of unrated and rated pairs."""
    unrated = Chosen(
        "unrated_weight",
        _WEIGHT,
        "Each unrated pair counts a tenth of a rated one: most are unknown, not disliked.",
    )
    if not is_implicit(split):
        reason = "Higher ratings count more. NDCG was about 20% higher than with equal weights."
        return [unrated, Chosen("rating_weight", "squared", reason)]
    scale = split.scale
    if scale.min == scale.max:
        return [unrated]  # all strengths are equal
    reason = "A strength r counts 1 + log(1 + r), so that a few heavy users do not dominate."
    return [unrated, Chosen("rating_weight", "log", reason)]


def _factors(split: Split) -> Chosen:
    most = min(trained_rows(split))
    reason = (
        "More factors rank better, but an epoch takes up to four times as long with twice the"
        " factors. With 64, NDCG was 1% to 3% lower."
    )
    return Chosen("k", min(_FACTORS, most), reason)

"""Recommended settings for models that rank items, each with its reason."""

from __future__ import annotations

from mfcli.config import Chosen
from mfcli.search.trained_ratings import relevant_rating, trained_rows
from mfcli.splits import Split

_FACTORS = 128
_EPOCHS = 12


def ranking_advice(split: Split) -> list[Chosen]:
    """Recommend settings for training on a split and for evaluation; test ratings are not used."""
    users, items = trained_rows(split)
    return [
        Chosen(
            "optimizer",
            "als",
            "Alternating least squares learns from unrated pairs, too, in a few seconds.",
        ),
        Chosen("target", "rated", "x"),
        Chosen("biases", False, "x"),
        Chosen("unrated_weight", 0.1, "x"),
        Chosen("rating_weight", "squared", "x"),
        Chosen("reg", 0.01, "x"),
        Chosen("k", min(_FACTORS, users, items), "x"),
        Chosen("epochs", _EPOCHS, "x"),
        relevant_rating(split),
    ]

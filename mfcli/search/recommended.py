"""Recommended settings for a split, each with its reason."""

from __future__ import annotations

import numpy as np

from mfcli.config import Chosen, Config
from mfcli.splits import Split

_SMALL, _LARGE = 20_000, 5_000_000  # training ratings, at which recommendations change
_DENSE = 60  # training ratings per user or item
# The sampler works with rows of 16, 32, 48, ... values, the bias included.
_FACTORS = {"small": 8, "usual": 15, "dense": 31}
_REASONS = {
    "small": "For few ratings, 8 factors are enough.",
    "usual": "On data with 7 to 30, 15 factors had lower validation errors than 31 and 63; with 93,"
    " more were better. An epoch takes twice as long with 31, and five times as long with 63.",
    "dense": "With 93 (MovieLens-1M), 32 factors were better than 16, and 64 a little better. An"
    " epoch takes twice as long with 31 factors as with 15, and five times as long with 63.",
}
_EPOCHS = {"usual": 200, "large": 100}
_HALF = 0.5  # at most this fraction of the ratings is relevant


def advise(split: Split) -> list[Chosen]:
    """Recommend settings for training on a split and for evaluation; test ratings are not used.

    The recommendations were chosen on validation ratings of the data sets named in the README.
    """
    count = len(split.train)
    return [
        Chosen(
            "optimizer",
            "gibbs",
            "Sampling from the posterior needs no learning rate and no penalties, and it gave the"
            " lowest validation error on every real data set that we tried.",
        ),
        _factors(split, count),
        _epochs(count),
        _relevant(split),
    ]


def _factors(split: Split, count: int) -> Chosen:
    users, items = trained_rows(split)
    per_row = count / (users + items)
    size = "small" if count < _SMALL else "dense" if per_row >= _DENSE else "usual"
    k = min(_FACTORS[size], users, items)  # more factors than rows cannot improve the model
    reason = f"There are {per_row:.0f} training ratings per user or item. {_REASONS[size]}"
    return Chosen("k", k, reason)


def trained_rows(split: Split) -> tuple[int, int]:
    """Return the numbers of users and items that have training ratings."""
    # The vocabularies also have users and items of other parts.
    train = split.train
    return int((train.users.counts > 0).sum()), int((train.items.counts > 0).sum())


def _epochs(count: int) -> Chosen:
    large = count > _LARGE
    epochs = _EPOCHS["large" if large else "usual"]
    reason = (
        "Each epoch draws one sample from the posterior, and the last"
        f" {Config(optimizer='gibbs').averaged:.0%} of the samples are averaged. Half as many"
        " epochs raise the RMSE by a few thousandths."
    )
    if large:
        reason += " With this many ratings, an epoch takes seconds."
    return Chosen("epochs", epochs, reason)


def _relevant(split: Split) -> Chosen:
    """Choose the smallest rating that at most half of the ratings reach, or else the largest."""
    values, counts = np.unique(split.train.rating, return_counts=True)
    reaching = counts[::-1].cumsum()[::-1] / counts.sum()  # fraction of ratings >= each value
    # The fractions descend, so the first that fits belongs to the smallest value. None fits if more
    # than half of the ratings have the largest value.
    place = np.append(np.flatnonzero(reaching <= _HALF), len(values) - 1)[0]
    reason = (
        f"Smallest rating that counts as relevant in rankings; {reaching[place]:.0%} of the"
        " training ratings reach it."
    )
    # float32 values such as 0.1 have tails as float64, which a settings file should not have.
    return Chosen("relevant", round(float(values[place]), 6), reason)


def title_of(split: Split) -> str:
    """Describe the split that settings are recommended for."""
    train, scale = split.train, split.scale
    density = len(train) / (len(train.users) * len(train.items))
    step = f" in steps of {scale.step:g}" if scale.step else ""
    return (
        f"Recommended by mfcli init for {len(train):,} training ratings by {len(train.users):,}"
        f" users of {len(train.items):,} items ({density:.2%} of all pairs), from {scale.min:g} to"
        f" {scale.max:g}{step}."
    )

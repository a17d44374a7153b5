"""Settings for the ratings at hand, each with its reason."""

from __future__ import annotations

import numpy as np

from mfcli.config import Chosen, Config
from mfcli.splits import Split

_SMALL, _LARGE = 20_000, 5_000_000  # training ratings
_FACTORS = {"small": 8, "usual": 16}
_EPOCHS = {"usual": 200, "large": 100}
_HALF = 0.5


def advise(split: Split) -> list[Chosen]:
    """Recommend settings to train on a split and to evaluate by; test ratings are not looked at.

    They were chosen on validation ratings of the real ratings that the README names.
    """
    count = len(split.train)
    return [
        Chosen(
            "optimizer",
            "gibbs",
            "Sampling from the posterior has no learning rate and no penalties to choose, and gave"
            " the least validation error on all real ratings that this was tried on.",
        ),
        _factors(split, count),
        _epochs(count),
        _relevant(split),
    ]


def _factors(split: Split, count: int) -> Chosen:
    users, items = (int((v.counts > 0).sum()) for v in (split.train.users, split.train.items))
    size = "small" if count < _SMALL else "usual"
    k = min(_FACTORS[size], users, items)
    per_row = count / (users + items)
    reason = (
        f"There are {per_row:.0f} training ratings for each user and item. The strength of the"
        " priors is learned, so more factors would not overfit, but take longer (with the square"
        " of k) and gain little."
    )
    return Chosen("k", k, reason)


def _epochs(count: int) -> Chosen:
    epochs = _EPOCHS["large" if count > _LARGE else "usual"]
    reason = (
        f"Samples of the posterior, one an epoch; the last {Config(optimizer='gibbs').averaged:.0%}"
        f" of them are averaged. Half as many cost a few thousandths of RMSE"
        f"{'; of so many ratings an epoch takes seconds' if count > _LARGE else ''}."
    )
    return Chosen("epochs", epochs, reason)


def _relevant(split: Split) -> Chosen:
    """Find the least rating that at most half of the ratings reach, or the greatest there is."""
    values, counts = np.unique(split.train.rating, return_counts=True)
    share = counts[::-1].cumsum()[::-1] / counts.sum()  # of ratings at least as high
    place = np.append(np.flatnonzero(share <= _HALF), len(values) - 1)[0]
    reason = (
        f"Rating from which on rankings count an item as relevant: {share[place]:.0%} of the"
        " training ratings are as high."
    )
    return Chosen("relevant", round(float(values[place]), 6), reason)


def title_of(split: Split) -> str:
    """Say what settings are recommended for."""
    train, scale = split.train, split.scale
    density = len(train) / (len(train.users) * len(train.items))
    step = f" in steps of {scale.step:g}" if scale.step else ""
    return (
        f"Recommended by mfcli init for {len(train):,} training ratings of {len(train.users):,}"
        f" users and {len(train.items):,} items ({density:.2%} of all pairs), from {scale.min:g} to"
        f" {scale.max:g}{step}."
    )

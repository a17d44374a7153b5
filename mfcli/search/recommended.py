"""Recommended settings for a split, each with its reason."""

from __future__ import annotations

from mfcli.arguments import check_type
from mfcli.config import DEFAULTS, Chosen, Config
from mfcli.data import IMPLICIT, rows_of
from mfcli.search.purposes import RANKING, RATINGS, purpose_of
from mfcli.search.ranking_advice import ranking_advice
from mfcli.search.trained_ratings import relevant_rating, trained_rows
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


def advise(split: Split, purpose: str = RATINGS) -> list[Chosen]:
    """Recommend settings for training on a split and for evaluation; test ratings are not used.

    The recommendations were chosen on validation ratings of the data sets named in the README.

    Parameters
    ----------
    split : Split
    purpose : {"ratings", "ranking"}
    """
    return ranking_advice(split) if purpose == RANKING else _rating_advice(split)


def _rating_advice(split: Split) -> list[Chosen]:
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
        relevant_rating(split),
    ]


def _factors(split: Split, count: int) -> Chosen:
    users, items = trained_rows(split)
    per_row = count / (users + items)
    size = "small" if count < _SMALL else "dense" if per_row >= _DENSE else "usual"
    k = min(_FACTORS[size], users, items)  # more factors than rows cannot improve the model
    reason = f"There are {per_row:.0f} training ratings per user or item. {_REASONS[size]}"
    return Chosen("k", k, reason)


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


def recommended_config(
    split: Split, base: Config = DEFAULTS, *, purpose: str | None = None
) -> Config:
    """Return the settings that `mfcli init` recommends, with the seed of `base`.

    Parameters
    ----------
    split : Split
        Its test ratings are not used.
    base : Config
    purpose : {"ratings", "ranking"}, optional
        What the model is for; by default ratings, or ranking for implicit feedback.

    Raises
    ------
    UsageError, ConfigError
        If an argument has another type, or the purpose does not suit the ratings.
    """
    check_type(split, Split, "split", "make one with split(ratings)")
    check_type(base, Config, "base")
    advice = advise(split, purpose_of(split, DEFAULTS, purpose))
    return Config(seed=base.seed, **{name: value for name, value, _ in advice})


def init_command(purpose: str) -> str:
    """Return the command that writes the recommended settings."""
    return "mfcli init --for ranking" if purpose == RANKING else "mfcli init"


def title_of(split: Split, purpose: str = RATINGS) -> str:
    """Describe the split and the purpose that settings are recommended for."""
    train = split.train
    return (
        f"Recommended by {init_command(purpose)} for {len(train):,} training"
        f" {rows_of(split.feedback)} by {len(train.users):,} users of {len(train.items):,} items"
        f" ({train.density:.2%} of all pairs), {_scale_text(split)}."
    )


def _scale_text(split: Split) -> str:
    scale = split.scale
    if split.feedback == IMPLICIT and scale.min == scale.max:
        return f"all with the strength {scale.min:g}"
    step = f" in steps of {scale.step:g}" if scale.step else ""
    strengths = "with strengths " if split.feedback == IMPLICIT else ""
    return f"{strengths}from {scale.min:g} to {scale.max:g}{step}"
